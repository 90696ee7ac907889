"""What timm's convolutional networks of stages have in common."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from snnet.anchors.anchor import run_in_turn
from snnet.anchors.timm_anchor import TimmAnchor
from snnet.space import Step


class ConvNetAnchor(TimmAnchor):
    """A timm network whose stem is a row of modules and whose stages hold blocks over `(B, C, H, W)`.

    Strides, and the shortcuts that follow them, stand inside the first block of a stage.
    """

    @abstractmethod
    def stem_modules(self) -> Sequence[nn.Module]:
        """Return the modules that the stem runs, in order."""

    @abstractmethod
    def stage_modules(self) -> Sequence[nn.Module]:
        """Return the stages; the children of each are its blocks."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(len(list(stage.children())) for stage in self.stage_modules())

    def stem(self, images: Tensor) -> Tensor:
        """Run the stem: `(B, C, H, W)` to a smaller `(B, C', H', W')`."""
        return run_in_turn(self.stem_modules(), images, recompute=False)

    def chain(self, step: Step) -> tuple[nn.Module, ...] | None:
        """Return a block, or the stem's modules, after what corrects the images; None where a family does more."""
        if step.kind != "stem" or type(self).stem is not ConvNetAnchor.stem:
            return super().chain(step)
        corrections = () if isinstance(self.renormalize, nn.Identity) else (self.renormalize,)
        return (*corrections, *self.stem_modules())

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one block, with its stride if it is the first of a stage."""
        return [self._blocks()[index]]

    def _blocks(self) -> list[nn.Module]:
        return [block for stage in self.stage_modules() for block in stage.children()]
