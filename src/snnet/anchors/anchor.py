# Tested in tests/anchors/test_families.py.
"""An anchor: a pretrained model seen as stem -> stages of blocks -> head."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from snnet.anchors.images import Renormalize
from snnet.errors import AnchorError
from snnet.space import FeatureSpec, InputSpec, Step, map_specs
from snnet.utils import Registry, evaluating

BatchNorm: TypeAlias = _BatchNorm
"""Any batch norm of torch, and timm's with an activation."""


@dataclass(frozen=True)
class AnchorSource:
    """How to build an anchor's model again; saved with a network in place of code.

    Attributes:
        model: Name for `timm.create_model`, `hf-hub:ORG/NAME` included.
        pretrained: Whether timm loads the published weights.
        checkpoint: Local `.safetensors` or `.pth` file to load the weights from.
        kwargs: Further arguments of `timm.create_model`.
        name: What tables and charts call the anchor; `model` if None.
    """

    model: str
    pretrained: bool = False
    checkpoint: str | None = None
    kwargs: tuple[tuple[str, Any], ...] = ()
    name: str | None = None

    @classmethod
    def of(cls, model: str, pretrained: bool = False, checkpoint: str | None = None, **kwargs: Any) -> Self:
        """Write the arguments of `timm.create_model` as they are.

        Args:
            model: Name of a model, or `hf-hub:ORG/NAME`.
            pretrained: Load its published weights.
            checkpoint: Local file to load weights from.
            kwargs: Arguments of `timm.create_model`.
        """
        return cls(model, pretrained, checkpoint, tuple(kwargs.items()))


class Anchor(nn.Module, ABC):
    """A view of a built model, never a copy: its weights, names and forward pass stay as they were.

    Subclass it for a family of models, say in `accepts` which models it knows, and file it with
    `@ANCHORS.register("name")`.

    Args:
        model: The built model.
        name: What tables and charts call it.
        source: How to build it again, if that is known.
    """

    def __init__(self, model: nn.Module, name: str, source: AnchorSource | None = None) -> None:
        super().__init__()
        self.model = model
        self.name = name
        self.source = source
        self.renormalize: nn.Module = nn.Identity()

    @classmethod
    @abstractmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether this class can show `model`."""

    @property
    @abstractmethod
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Width of the logits; 0 for a model without a classifier."""

    @property
    @abstractmethod
    def input(self) -> InputSpec:
        """The images that the model takes."""

    @property
    def stages(self) -> tuple[int, ...]:
        """Stages that are stitched unless the user says otherwise; all by default."""
        return tuple(range(len(self.depths)))

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in the order of the logits, as far as timm's record of the weights has them."""
        config = getattr(self.model, "pretrained_cfg", None) or {}
        names = config.get("label_names")
        return tuple(names) if names else None

    @property
    def license(self) -> str | None:
        """License of the published weights, as far as timm's record has it."""
        config = getattr(self.model, "pretrained_cfg", None) or {}
        return config.get("license") or None

    @property
    def any_size(self) -> bool:
        """Whether the model takes images of other heights and widths too, as far as timm's record says so."""
        config = getattr(self.model, "pretrained_cfg", None) or {}
        return config.get("fixed_input_size") is False

    @abstractmethod
    def feature(self, block: int) -> FeatureSpec:
        """Describe the output of a block; -1 is the output of the stem."""

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Maps that the anchor gives, in timm's words: of every block, or of the last at each size if sizes differ.

        Each has `num_chs`, `reduction` (pixels of the image for each position, along an axis), and `block`, after which
        it is taken.
        """
        maps = map_specs(self.input.size[1:], [self.feature(block) for block in range(-1, self.depth)])[1:]
        last = {spec.reduction: block for block, spec in enumerate(maps)}
        blocks = range(self.depth) if len(last) == 1 else last.values()
        return [{"num_chs": maps[at].channels, "reduction": maps[at].reduction, "block": at} for at in blocks]

    @abstractmethod
    def stem(self, images: Tensor) -> Tensor:
        """Turn images `(B, C, H, W)` into what block 0 receives."""

    @abstractmethod
    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one block, with the transition that comes before it if it is the first of a stage.

        Args:
            index: Number of the block through all stages.
            features: Output of the block before, or of the stem; `(B, N, C)`, `(B, H, W, C)` or `(B, C, H, W)`.
        """

    @abstractmethod
    def head(self, features: Tensor) -> Tensor:
        """Turn the last block's output into logits `(B, num_classes)`, with the final norm."""

    def head_without_norm(self, features: Tensor) -> Tensor:  # noqa: ARG002
        """Turn features into logits without the final norm, as the published DeiT networks do on stitched routes.

        Raises:
            AnchorError: If the family has no such head.
        """
        raise AnchorError(f"{type(self).__name__} ({self.name}) has no head without its final norm.")

    @abstractmethod
    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the modules that `block(index, ...)` runs."""

    def chain(self, step: Step) -> tuple[nn.Module, ...] | None:  # noqa: ARG002
        """Return the modules that a step of a route runs one after another, if outside training that is all it does.

        They are then run without asking the anchor. None says that there is more to the step.
        """
        return None

    @abstractmethod
    def head_modules(self) -> Iterable[nn.Module]:
        """Return the modules that `head` runs."""

    def taking_images_of(self, spec: InputSpec) -> Self:
        """Return this anchor, or a view of the same model that takes images normalized as `spec` says.

        The correction comes before the stem, and so before any padding: it is exact.
        """
        same = spec.normalized_like(self.input)
        if same and isinstance(self.renormalize, nn.Identity):
            return self
        view = copy(self)
        view._modules = dict(self._modules)
        view.renormalize = nn.Identity() if same else Renormalize(spec, self.input)
        return view

    def enter(self, images: Tensor) -> Tensor:
        """Turn the images that the network takes into what block 0 receives."""
        renormalize = self.renormalize
        # To call a module that does nothing takes longer than to find a block.
        return self.stem(images if type(renormalize) is nn.Identity else renormalize(images))

    @property
    def depth(self) -> int:
        """Blocks in all stages."""
        return sum(self.depths)

    def place(self, block: int) -> tuple[int, int]:
        """Return the stage of a block, and its number within that stage.

        Raises:
            AnchorError: If there is no such block.
        """
        number = block
        for stage, depth in enumerate(self.depths):
            if 0 <= number < depth:
                return stage, number
            number -= depth
        raise AnchorError(f"{self.name} has no block {block}; accepted: 0 to {self.depth - 1}.")

    def run(self, features: Tensor, start: int, stop: int) -> Tensor:
        """Run blocks `start` to `stop`, half open.

        Args:
            features: What the block `start` receives.
            start: First block.
            stop: The block before which to stop.
        """
        for index in range(start, stop):
            features = self.block(index, features)
        return features

    def run_step(self, step: Step, features: Tensor) -> Tensor:
        """Run one step of a route that is this anchor's: stem, block or head.

        Args:
            step: One step of a route.
            features: What it receives.
        """
        if step.kind == "block":
            return self.block(step.index, features)
        if step.kind == "stem":
            return self.enter(features)
        return self.head(features) if step.kind == "head" else self.head_without_norm(features)

    def forward(self, images: Tensor) -> Tensor:
        """Run the wrapped model's own forward pass on the images that the network takes."""
        logits: Tensor = self.model(self.renormalize(images))
        return logits

    def block_parameters(self, index: int) -> list[nn.Parameter]:
        """Return the parameters of one block, its transition included."""
        return [p for module in self.block_modules(index) for p in module.parameters()]

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the final norm and the classifier."""
        return [p for module in self.head_modules() for p in module.parameters()]

    def head_without_norm_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the classifier alone.

        Raises:
            AnchorError: If the family has no such head.
        """
        raise AnchorError(f"{type(self).__name__} ({self.name}) has no head without its final norm.")

    def stem_parameters(self) -> list[nn.Parameter]:
        """Return all parameters that belong neither to a block nor to the head."""
        elsewhere = {id(p) for index in range(self.depth) for p in self.block_parameters(index)}
        elsewhere |= {id(p) for p in self.head_parameters()}
        return [p for p in self.model.parameters() if id(p) not in elsewhere]

    def step_parameters(self, step: Step) -> list[nn.Parameter]:
        """Return the parameters that one step of a route uses that is this anchor's: stem, block or head."""
        if step.kind == "block":
            return self.block_parameters(step.index)
        if step.kind == "stem":
            return self.stem_parameters()
        return self.head_parameters() if step.kind == "head" else self.head_without_norm_parameters()

    def step_norms(self, step: Step) -> list[BatchNorm]:
        """Return the batch norms with running statistics that belong to one such step, in the order of its modules."""
        if step.kind == "block":
            return batch_norms(self.block_modules(step.index))
        head = batch_norms(self.head_modules())
        if step.kind != "stem":
            return head
        blocks = batch_norms(module for index in range(self.depth) for module in self.block_modules(index))
        return [norm for norm in batch_norms([self.model]) if norm not in {*blocks, *head}]

    def no_weight_decay(self) -> set[str]:
        """Return the names, relative to the model, that the model itself excludes from weight decay."""
        names = getattr(self.model, "no_weight_decay", set)
        return set(names())

    def prove(self, images: Tensor | None = None, *, tolerance: float = 1e-6) -> None:
        """Check that stem, blocks and head, run one after another, give what the model itself gives.

        Args:
            images: Sample `(B, C, H, W)`; random if None.
            tolerance: Largest difference, relative to the largest logit.

        Raises:
            AnchorError: If the two differ; the message gives by how much.
        """
        with evaluating(self) as place, torch.no_grad():
            x = sample_images(self.input, 2) if images is None else images
            x = x.to(place, next(self.parameters()).dtype)
            expected, found = self(x), self.head(self.run(self.enter(x), 0, self.depth))
        error = ((found - expected).abs().max() / expected.abs().max().clamp_min(1e-12)).item()
        if not error <= tolerance:
            raise AnchorError(
                f"{type(self).__name__} does not reproduce {self.name}: its segments differ from the model's forward "
                f"by {error:.1e} relative, at most {tolerance:.0e} is accepted."
            )


def run_in_turn(parts: Iterable[Callable[[Tensor], Tensor]], features: Tensor, *, recompute: bool) -> Tensor:
    """Run modules one after another; `recompute` runs them again in the backward pass and keeps no activations."""
    chain = tuple(parts)

    def run(features: Tensor) -> Tensor:
        for part in chain:
            features = part(features)
        return features

    if not recompute:
        return run(features)
    output: Tensor = checkpoint(run, features, use_reentrant=False)
    return output


def sample_images(spec: InputSpec, count: int) -> Tensor:
    """Return reproducible noise `(count, C, H, W)`, leaving the global random state alone."""
    return torch.randn(count, *spec.size, generator=torch.Generator().manual_seed(0))


def batch_norms(modules: Iterable[nn.Module]) -> list[BatchNorm]:
    """Return the batch norms within modules that have running statistics, each once, in the order of the modules."""
    found = (part for module in modules for part in module.modules())
    return list(dict.fromkeys(part for part in found if isinstance(part, BatchNorm) and part.running_mean is not None))


ANCHORS: Registry[type[Anchor]] = Registry("anchor family", group="snnet.anchors")
"""Anchor classes by name; `@ANCHORS.register("name")` files one. The class registered last is asked first."""
