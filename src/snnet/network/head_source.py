# Tested in tests/network/test_routing.py.
"""How to build a head over feature maps again; saved with a network in place of code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import nn

from snnet.errors import AnchorError
from snnet.heads import build_head, check_head
from snnet.space import InputSpec, MapSpec


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
    def of(cls, head: str | nn.Module, outputs: int, options: Mapping[str, Any]) -> Self:
        """Take what a user named or built.

        Raises:
            AnchorError: If a built module is given options, which it cannot take.
        """
        if isinstance(head, str):
            return cls(head, outputs, dict(options))
        if options:
            raise AnchorError(f"A built head takes no options, and {', '.join(options)} are given; build it with them.")
        return cls(None, outputs, {}, head)

    def build(self, maps: Sequence[MapSpec], input: InputSpec) -> nn.Module:
        """Return the head for such maps.

        Raises:
            RecipeError: If there is no such head, or it does not take the options.
            AnchorError: If it does not take maps of these widths.
        """
        if self.module is not None:
            check_head(self.module, maps, self.outputs, input.size[1:])
            return self.module
        return build_head(str(self.name), maps, self.outputs, **self.options)

    def to_config(self) -> dict[str, Any]:
        """Return plain data for `config.json`."""
        return {"name": self.name, "outputs": self.outputs, "options": dict(self.options)}
