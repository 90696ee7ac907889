# Tested in tests/anchors/test_from_modules.py.
"""What stem, blocks and head of a model run, as lists."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

Entry = str | Callable[[Tensor], Tensor]
"""The path of a module in the model, or a function without parameters of its own."""


@dataclass(frozen=True)
class Segments:
    """What stem, blocks and head run, in order.

    Attributes:
        stem: From images to what block 0 receives.
        stages: Stages of blocks; a block is one entry, or several if a transition comes before it.
        head: From the last block's output to logits.
    """

    stem: tuple[Entry, ...]
    stages: tuple[tuple[tuple[Entry, ...], ...], ...]
    head: tuple[Entry, ...]

    @property
    def blocks(self) -> tuple[tuple[Entry, ...], ...]:
        """The blocks of all stages."""
        return tuple(block for stage in self.stages for block in stage)

    def labeled(self) -> Iterator[tuple[str, Entry]]:
        """Yield every entry in the order of the forward pass, with the name of its segment."""
        yield from (("the stem", entry) for entry in self.stem)
        for number, block in enumerate(self.blocks):
            yield from ((f"block {number}", entry) for entry in block)
        yield from (("the head", entry) for entry in self.head)


def run_entry(model: nn.Module, entry: Entry, features: Tensor) -> Tensor:
    """Run a module of the model, or a function.

    Modules are looked up each time, so that one that was replaced (a new classifier) is the one that runs.
    """
    run = model.get_submodule(entry) if isinstance(entry, str) else entry
    output: Tensor = run(features)
    return output


def modules_of(model: nn.Module, entries: Iterable[Entry]) -> list[nn.Module]:
    """Return the modules that entries name."""
    return [model.get_submodule(entry) for entry in entries if isinstance(entry, str)]
