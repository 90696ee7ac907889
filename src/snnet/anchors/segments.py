# Tested in tests/anchors/test_from_modules.py.
"""An anchor whose stem, blocks and head are lists of module paths and functions."""

from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from math import isqrt

import torch
from torch import Tensor, nn

from snnet.anchors.anchor import Anchor, AnchorSource, run_in_turn, sample_images
from snnet.anchors.entries import Entry, Segments, modules_of, run_entry
from snnet.anchors.proof import prove_segments
from snnet.anchors.shapes import feature_shapes, map_spec
from snnet.anchors.trace import batch_shape
from snnet.errors import AnchorError
from snnet.space import FeatureSpec, InputSpec, Layout
from snnet.utils import counted, evaluating, trying_training


class SegmentedAnchor(Anchor):
    """Any model, seen through lists of entries that are proven on a sample to give the model's own forward pass.

    Args:
        model: The built model.
        name: What tables and charts call it.
        segments: The lists.
        input: The images that the model takes.
        source: How to build the model again, if that is known.
        num_classes, layout, prefix_tokens, grid: As for `anchor_from_modules`.

    Raises:
        AnchorError: If the segments do not give the model's forward pass; the first that differs is named.
    """

    def __init__(
        self,
        model: nn.Module,
        name: str,
        segments: Segments,
        input: InputSpec,
        *,
        source: AnchorSource | None = None,
        num_classes: int | None = None,
        layout: Layout = "NCHW",
        prefix_tokens: int = 0,
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(model, name, source)
        self.segments = segments
        self._input = input
        self._layout, self._prefix_tokens, self._grid = layout, prefix_tokens, grid
        # Segments that write into what they receive would spoil features that several stitches share.
        self._num_classes, self._writers = self._prove(None, 1e-5)
        if num_classes not in (None, self._num_classes):
            raise AnchorError(
                f"{name} gives {counted(self._num_classes, 'logit')}, and num_classes={num_classes}; leave num_classes "
                "out, or build the model with as many classes."
            )
        # timm's models without a classifier say 0, whatever they give.
        self._counts_classes = getattr(model, "num_classes", None) in (0, self._num_classes)

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:  # noqa: ARG003
        """Take no model by itself: the lists must be given."""
        return False

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(map(len, self.segments.stages))

    @property
    def num_classes(self) -> int:
        """Width of the logits, also after the model's classifier was replaced."""
        return int(self.model.num_classes) if self._counts_classes else self._num_classes  # type: ignore[arg-type]

    @property
    def input(self) -> InputSpec:
        """The images that the model takes."""
        return self._input

    def feature(self, block: int) -> FeatureSpec:
        """Describe the output of a block; -1 is the output of the stem."""
        return self._specs[block + 1]

    @cached_property
    def _specs(self) -> tuple[FeatureSpec, ...]:
        return tuple(self._spec(number - 1, shape) for number, shape in enumerate(feature_shapes(self)))

    def _spec(self, block: int, shape: tuple[int, ...]) -> FeatureSpec:
        if len(shape) == 3 and self._layout != "tokens":
            self._check_layout(block, shape)
            return map_spec(shape, self._layout)
        if len(shape) == 2:
            positions = shape[0] - self._prefix_tokens
            height, width = self._grid or (isqrt(max(positions, 0)),) * 2
            if height * width == positions:
                return FeatureSpec(shape[1], "tokens", (height, width), self._prefix_tokens)
        raise AnchorError(
            f"The output of {_where(block)} of {self.name} has shape {batch_shape(shape)}, which is neither a feature "
            f"map (B, C, H, W) or (B, H, W, C), nor {counted(self._prefix_tokens, 'prefix token')} before a "
            f"{'square' if self._grid is None else 'x'.join(map(str, self._grid))} grid (B, N, C); give layout, "
            "prefix_tokens or grid, or name other blocks."
        )

    def _check_layout(self, block: int, shape: tuple[int, ...]) -> None:
        """Refuse features that are square maps of square images only in the other layout."""
        square = {"NCHW": shape[1] == shape[2], "NHWC": shape[0] == shape[1]}
        other: Layout = "NHWC" if self._layout == "NCHW" else "NCHW"
        if self.input.size[1] == self.input.size[2] and square[other] and not square[self._layout]:
            raise AnchorError(
                f"The output of {_where(block)} of {self.name} has shape {batch_shape(shape)}, which is a square map "
                f"only as {other}, and layout={self._layout!r}; give layout={other!r}."
            )

    def stem(self, images: Tensor) -> Tensor:
        """Run the entries of the stem."""
        return self._run(self.segments.stem, images)

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run the entries of one block."""
        if f"block {index}" in self._writers:
            features = features.clone()
        recompute = self.training and getattr(self.model, "grad_checkpointing", False)
        return self._run(self.segments.blocks[index], features, recompute=recompute)

    def head(self, features: Tensor) -> Tensor:
        """Run the entries of the head."""
        # A cut may leave the last block: a stitching layer then receives the same features.
        return self._run(self.segments.head, features.clone() if "the head" in self._writers else features)

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the modules that a block names."""
        return modules_of(self.model, self.segments.blocks[index])

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the modules that the head names."""
        return modules_of(self.model, self.segments.head)

    def _run(self, entries: Sequence[Entry], features: Tensor, *, recompute: bool = False) -> Tensor:
        parts = [partial(run_entry, self.model, entry) for entry in entries]
        return run_in_turn(parts, features, recompute=recompute)

    def prove(self, images: Tensor | None = None, *, tolerance: float = 1e-5) -> None:
        """Check that the segments give the model's own forward pass, and name the first that differs.

        On the meta device, where there are no values, the order of the modules and the shapes are compared.
        """
        self._prove(images, tolerance)

    def _prove(self, images: Tensor | None, tolerance: float) -> tuple[int, frozenset[str]]:
        first = next(self.model.parameters(), torch.empty(0))
        x = (sample_images(self.input, 2) if images is None else images).to(first.device, first.dtype)
        with evaluating(self.model):
            found = prove_segments(self.model, self.name, self.segments, x, tolerance)
        if not x.is_meta and len(x) > 1:  # a batch norm may refuse a single image
            with trying_training(self.model) as begin:
                prove_segments(self.model, f"{self.name} in training mode", self.segments, x, tolerance, begin)
        return found


def _where(block: int) -> str:
    return "the stem" if block < 0 else f"block {block}"
