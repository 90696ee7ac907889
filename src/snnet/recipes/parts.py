# Tested in tests/recipes/test_build.py.
"""The parts that a recipe describes, once they are built."""

from dataclasses import dataclass, field

from snnet.data import EvalBatches, Images, TrainBatches
from snnet.errors import RecipeError
from snnet.init import has_batch_norm
from snnet.network import SNNet
from snnet.profiling import count_costs, step_macs
from snnet.recipes.recipe import Recipe
from snnet.space import Step, StitchSpace
from snnet.table import StitchTable


@dataclass(frozen=True)
class Parts:
    """The parts that a recipe describes.

    Attributes:
        recipe: What the parts were built from.
        net: The network, before any step.
        images: The training images.
        train: The same as batches, varied and shuffled.
        validation: Clean batches.
        new_heads: Why the classifiers of the anchors are fresh; empty if they are not.
    """

    recipe: Recipe
    net: SNNet
    images: Images
    train: TrainBatches
    validation: EvalBatches
    new_heads: str = ""
    _macs: dict[Step, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        optim = self.recipe.optim
        if self.untaught and self.frozen and self.recipe.head is None:
            raise RecipeError(
                f"The anchors have fresh classifiers, for {self.new_heads}, and a frozen one would never learn the "
                f"classes; optim.freeze is {optim.freeze!r} and optim.anchor_lr_scale {optim.anchor_lr_scale}: set "
                "them to 'nothing' and above 0."
            )

    def count_costs(self) -> StitchTable:
        """Count the costs of the network into its table; steps are run once, for no step of a recipe changes them."""
        # The network on the meta device, and the one in its place later, hold one dictionary.
        self._macs.update({} if self._macs else step_macs(self.net))
        return count_costs(self.net, self._macs)

    def use(self, space: StitchSpace) -> None:
        """Let the network have these stitches."""
        if space != self.net.space:
            self.net.set_space(space)
        self._macs.clear()

    @property
    def untaught(self) -> bool:
        """Whether the anchors know nothing of the targets yet when routes begin to be trained."""
        return bool(self.new_heads) and not self.recipe.first.steps

    @property
    def device(self) -> str:
        """Where the steps run."""
        return self.recipe.run.place

    @property
    def frozen(self) -> range:
        """Numbers of the anchors that stay as they are."""
        return self.recipe.optim.frozen(len(self.net.anchors))

    @property
    def is_saved(self) -> bool:
        """Whether the network was saved: its anchors may be trained, and their own statistics fit nothing then."""
        return self.recipe.network.saved is not None

    @property
    def recalibrates(self) -> bool:
        """Whether there is batch norm, and the recipe lets its statistics be measured for each stitch."""
        return self.recipe.recalibration.images > 0 and has_batch_norm(self.net)

    @property
    def measured_anchors(self) -> list[int]:
        """The anchors whose own statistics do not fit them once training has begun."""
        kept = () if self.is_saved else self.frozen
        return [number for number in range(len(self.net.anchors)) if number not in kept]
