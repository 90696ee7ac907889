# Tested in tests/network/test_routing.py.
"""How to build a head over feature maps again; saved with a network in place of code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import nn

from snnet.heads import HeadLike, build_head, check_head
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

    def build(self, maps: Sequence[MapSpec], size: Sequence[int]) -> nn.Module:
        """Return the head for such maps of images of this height and width; errors are those of `build_head`."""
        head = build_head(self.module or str(self.name), maps, self.outputs, **({} if self.module else self.options))
        check_head(head, maps, self.outputs, size)
        return head

    def to_config(self) -> dict[str, Any]:
        """Return plain data for `config.json`."""
        return {"name": self.name, "outputs": self.outputs, "options": dict(self.options)}
