# Tested in tests/anchors/test_families.py.
"""What families of timm models have in common: all of them, and those whose stages hold the way into them."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor, nn

from snnet.anchors.anchor import Anchor, run_in_turn
from snnet.anchors.images import input_spec
from snnet.anchors.shapes import feature_shapes, map_spec
from snnet.space import FeatureSpec, InputSpec, Layout, Step


class TimmAnchor(Anchor):
    """A timm model with blocks over feature maps and a `forward_head`.

    A family says by names where its parts are, as far as a variant has them, and overrides what it does otherwise. The
    image size is that of the grid of patches, or else timm's record, which
    `pretrained_cfg_overlay={"input_size": (3, 64, 64)}` of `timm.create_model` changes.

    Attributes:
        models: timm's classes of the family.
        layout: Layout of the feature maps.
        stem_names: Modules that the stem runs, in order.
        stage_names: The stages, whose children are their blocks.
        stages_in: The module whose children are the stages, in place of `stage_names`.
        stitched: Which of the stages are stitched by default.
        last_names: Modules between the last block and timm's `forward_head`, in order.
        head_names: Modules that `forward_head` runs.
    """

    models: ClassVar[tuple[type[nn.Module], ...]] = ()
    layout: Layout = "NCHW"
    stem_names: ClassVar[tuple[str, ...]] = ()
    stage_names: ClassVar[tuple[str, ...]] = ()
    stages_in: ClassVar[str | None] = None
    stitched: ClassVar[slice] = slice(None)
    last_names: ClassVar[tuple[str, ...]] = ()
    head_names: ClassVar[tuple[str, ...]] = ("head",)
    model: Any  # timm's stages and blocks have no types of their own

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is of one of timm's classes of this family."""
        return isinstance(model, cls.models)

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(len(self.blocks_of(stage)) for stage in self.stage_modules())

    @property
    def stages(self) -> tuple[int, ...]:
        """Stages that are stitched unless the user says otherwise."""
        return tuple(range(len(self.depths)))[self.stitched]

    @property
    def num_classes(self) -> int:
        """Width of the logits; 0 without a classifier."""
        return int(self.model.num_classes)

    @property
    def input(self) -> InputSpec:
        """The images that the model takes."""
        return input_spec(self.model)

    def feature(self, block: int) -> FeatureSpec:
        """Describe the output of a block; -1 is the output of the stem."""
        return self._specs[block + 1]

    @cached_property
    def _specs(self) -> tuple[FeatureSpec, ...]:
        return tuple(map_spec(shape, self.layout) for shape in feature_shapes(self))

    def recomputes(self, index: int) -> bool:
        """Tell whether a block keeps no activations and runs again in the backward pass, by timm's switch for it.

        The switch is the model's, or that of the stage where it has one of its own.
        """
        if not self.training:
            return False
        stage = self.stage_modules()[self.place(index)[0]]
        return bool(getattr(stage, "grad_checkpointing", getattr(self.model, "grad_checkpointing", False)))

    def present(self, *names: str) -> list[nn.Module]:
        """Return the modules of these names, as far as the variant at hand has them."""
        found = (getattr(self.model, name, None) for name in names)
        return [module for module in found if module is not None]

    def stage_modules(self) -> list[Any]:
        """Return the stages, in order."""
        return self.present(*self.stage_names) if self.stages_in is None else list(getattr(self.model, self.stages_in))

    def blocks_of(self, stage: Any) -> list[nn.Module]:
        """Return the blocks of a stage, in order: the children of its `blocks`, or its own."""
        return list(getattr(stage, "blocks", stage).children())

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one block."""
        return [[block for stage in self.stage_modules() for block in self.blocks_of(stage)][index]]

    def head_modules(self) -> Iterable[nn.Module]:
        """Return what runs after the last block."""
        return self.present(*self.last_names, *self.head_names)

    def stem(self, images: Tensor) -> Tensor:
        """Run the modules of the stem, one after another."""
        return run_in_turn(self.present(*self.stem_names), images, recompute=False)

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, with what leads into its stage if it is the first."""
        return run_in_turn(self.block_modules(index), features, recompute=self.recomputes(index))

    def head(self, features: Tensor) -> Tensor:
        """Apply the last norm or convolution, if there is one, pooling and the classifier."""
        model = self.model
        for name in self.last_names:
            part = model._modules.get(name)  # by the attribute it takes as long as a small step
            if part is not None:
                features = part(features)
        logits: Tensor = model.forward_head(features)
        return logits

    def chain(self, step: Step) -> tuple[nn.Module, ...] | None:
        """Return a block, or the stem after what corrects the images; None where a family does more than run them."""
        if step.kind == "block" and type(self).block is TimmAnchor.block:
            return tuple(self.block_modules(step.index))
        if step.kind == "stem" and type(self).stem is TimmAnchor.stem:
            corrections = () if isinstance(self.renormalize, nn.Identity) else (self.renormalize,)
            return (*corrections, *self.present(*self.stem_names))
        return None


class StagedAnchor(TimmAnchor):
    """A timm model whose stages hold their `blocks`, and a `downsample` that runs before the first of them.

    All stages but the last are stitched by default, as in the published networks of Swin and of LeViT.
    """

    stages_in = "stages"
    stitched = slice(-1)

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the one block, with the way into its stage before the first."""
        number, position = self.place(index)
        stage = self.stage_modules()[number]
        block = stage.blocks[position]
        return [block] if position else [stage.downsample, block]
