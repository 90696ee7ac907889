# Tested in tests/network/test_routing.py.
"""How to build a head over feature maps again; saved with a network in place of code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import nn

from snnet.errors import HeadError
from snnet.heads import HeadLike, build_head
from snnet.space import MapSpec


@dataclass(frozen=True)
class HeadSource:
    """A head by its name in `HEADS`, or a module that a user has built.

    Attributes:
        name: In `HEADS`; None for a built module.
        outputs: Width of what it gives.
        options: Its settings.
        module: The built module.
    """

    name: str | None
    outputs: int
    options: Mapping[str, Any] = field(default_factory=dict)
    module: nn.Module | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, head: HeadLike, outputs: int, options: Mapping[str, Any]) -> Self:
        """Take what a user named or built."""
        name, module = (head, None) if isinstance(head, str) else (None, head)
        return cls(name, outputs, dict(options), module)

    def build(self, maps: Sequence[MapSpec], size: Sequence[int], grid: Sequence[int]) -> nn.Module:
        """Return the head for such maps; further errors are those of `build_head`.

        Args:
            maps: What it reads.
            size: Height and width of the images.
            grid: Height and width of the first map.

        Raises:
            HeadError: If the first map has a rest of an image at its border, for outputs are as large as it says.
        """
        reduction = maps[0].reduction
        gives = [side * reduction for side in grid]
        if gives != list(size):
            told = ["x".join(map(str, each)) for each in (size, grid, (reduction, reduction), gives)]
            raise HeadError(
                f"Images of {told[0]} pixels make a first map of {told[1]}, each for {told[2]}: a head over it gives "
                f"outputs of {told[3]}. Take more maps (taps), or images of a multiple of {reduction}."
            )
        return build_head(self.module or str(self.name), maps, self.outputs, **self.options)

    def to_config(self) -> dict[str, Any]:
        """Return plain data for `config.json`."""
        return {"name": self.name, "outputs": self.outputs, "options": dict(self.options)}
