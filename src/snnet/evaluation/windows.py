"""Pictures larger than what a network takes: seen through windows that overlap, or whole; scored at their own size."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Literal, TypeAlias

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import interpolate

from snnet.data import EvalBatches
from snnet.errors import DataError
from snnet.network import SNNet, Tree, run_tree
from snnet.utils import Settings

WindowKind: TypeAlias = Literal["none", "slide", "whole"]


class Windows(Settings):
    """How dense networks see pictures of any size; the name of its kind alone stands for all of it.

    Windows are as large as the images that the network takes, and lie as those of `mmsegmentation`: the last ones end
    where the picture ends. Where several see a pixel its output is their mean. Outputs are resized (bilinear) to the
    size of the target, at which they are scored.
    """

    kind: WindowKind = Field("none", description="none (one crop of each), slide, or whole if any size is taken")
    stride: float = Field(2 / 3, gt=0, le=1, description="from one window to the next, as a part of its side")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @classmethod
    def of(cls, given: "Windows | WindowKind", net: SNNet) -> "Windows":
        """Return what was given, where its kind alone may stand for it, once it fits a network.

        Args:
            given: What was given.
            net: The network.

        Raises:
            DataError: If its outputs are no maps, or it should see pictures whole and takes one size alone.
            RecipeError: If there is no such kind.
        """
        found = given if isinstance(given, Windows) else cls(kind=given)
        if found.kind != "none" and not net.task.dense:
            raise DataError(
                f"windows={found.kind!r} is for networks that end in maps, and this one's task is "
                f"{type(net.task).__name__}; leave it out."
            )
        fixed = [anchor.name for anchor in net.family if not anchor.any_size]
        if found.kind == "whole" and fixed:
            raise DataError(
                f"windows='whole' needs anchors that take any size, and {fixed[0]} takes {net.input.size[1]}x"
                f"{net.input.size[2]} alone; take windows='slide'."
            )
        return found

    @property
    def facts(self) -> dict[str, Any]:
        """What scores depend on, in plain values: nothing without windows."""
        return {"none": {}, "whole": {"windows": "whole"}, "slide": {"windows": f"slide {self.stride:.6g}"}}[self.kind]

    def pictures(self, data: Any) -> Any:
        """Return data in which whole pictures come one by one, where the data is ours; other data as it is."""
        if self.kind == "none":
            return data
        if isinstance(data, EvalBatches):
            return EvalBatches(self.pictures(data.dataset), 1, data.workers)
        return data.whole() if hasattr(data, "whole") else data

    def run(self, net: SNNet, tree: Tree, images: Tensor, size: Sequence[int]) -> Iterator[tuple[str, Tensor]]:
        """Run routes, each distinct step once for all windows together.

        Args:
            net: The network.
            tree: Its routes.
            images: `(B, C, H, W)`; of any size but smaller than the network's, unless there are no windows.
            size: Height and width of the targets.

        Yields:
            Ids of stitches and their outputs, `(B, outputs, *size)`.

        Raises:
            DataError: If the images are too small.
        """
        if self.kind == "none":
            yield from run_tree(net, tree, images)
            return
        height, width = images.shape[2:] if self.kind == "whole" else net.input.size[1:]
        if images.shape[2] < height or images.shape[3] < width:
            raise DataError(
                f"A picture of {images.shape[2]}x{images.shape[3]} is smaller than a window of {height}x{width} "
                "(height, width); enlarge it so that it covers one."
            )
        corners = list(product(*map(self._begins, images.shape[2:], (height, width))))
        seen = torch.cat([images[..., top : top + height, left : left + width] for top, left in corners])
        for stitch, outputs in run_tree(net, tree, seen):
            yield stitch, _sized(_joined(outputs, corners, images), size)

    def _begins(self, side: int, window: int) -> list[int]:
        """Return where windows begin along a side."""
        step = max(1, int(window * self.stride))
        return [min(number * step, side - window) for number in range(-(-(side - window) // step) + 1)]


def own_sized(images: Tensor, targets: Tensor) -> Tensor:
    """Return a view of nothing as large as the targets, against which these are checked in place of the images.

    Raises:
        DataError: If images `(B, C, H, W)` and targets `(B, h, w)` do not show the same, by their proportions.
    """
    if images.ndim != 4 or targets.ndim != 3:
        return images
    (height, width), (tall, wide) = images.shape[2:], targets.shape[1:]
    # Resized sides are whole numbers of pixels.
    if abs(height * wide - width * tall) > max(tall, wide):
        raise DataError(
            f"A picture of {height}x{width} (height, width) comes with a target of {tall}x{wide}, and is no resized "
            "picture of that size; both must show the same."
        )
    return images[..., :1, :1].expand(*images.shape[:2], tall, wide)


def _joined(outputs: Tensor, corners: Sequence[tuple[int, ...]], images: Tensor) -> Tensor:
    """Return the mean of what windows give, `(B, outputs, H, W)`; they come window by window."""
    count, _, tall, wide = images.shape
    height, width = outputs.shape[2:]
    if len(corners) == 1:
        return outputs.float()
    sums = outputs.new_zeros((count, outputs.shape[1], tall, wide), dtype=torch.float32)
    times = sums.new_zeros((tall, wide))
    for (top, left), part in zip(corners, torch.split(outputs, count), strict=True):
        place = (..., slice(top, top + height), slice(left, left + width))
        sums[place] += part
        times[place] += 1
    return sums.div_(times)


def _sized(outputs: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(outputs.shape[2:]) == tuple(size):
        return outputs
    return interpolate(outputs, tuple(size), mode="bilinear", align_corners=False)
