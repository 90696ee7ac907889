"""What running statistics per route cost at run time: `net(x, stitch)` with and without them, and as plain modules.

The sides alternate, and the ratios are those of their medians.

    python benchmarks/recalibration_overhead.py
    python benchmarks/recalibration_overhead.py --size 224 --batch-size 8 --width 64
"""

import argparse
import time
from collections.abc import Iterable
from copy import deepcopy
from statistics import median

import torch
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

from snnet.anchors import Anchor
from snnet.init import recalibrate
from snnet.network import SNNet
from snnet.space import FeatureSpec, InputSpec, StitchSpace


class Blocks(nn.Module):
    """A convolution, residual blocks of one width (timm's), and a classifier: 17 batch norms by default."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Sequential(nn.Conv2d(3, width, 7, 4, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.ModuleList(BasicBlock(width, width) for _ in range(depth))
        self.fc = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` to logits `(B, 10)`."""
        features = self.stem(images)
        for block in self.blocks:
            features = block(features)
        logits: Tensor = self.fc(features.mean((2, 3)))
        return logits


class BlocksAnchor(Anchor):
    """`Blocks` as an anchor."""

    model: Blocks
    size = 64

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        """Tell whether `model` is a `Blocks`."""
        return isinstance(model, Blocks)

    @property
    def depths(self) -> tuple[int, ...]:
        """One stage."""
        return (len(self.model.blocks),)

    @property
    def num_classes(self) -> int:
        """Width of the logits."""
        return 10

    @property
    def input(self) -> InputSpec:
        """Color images."""
        return InputSpec((3, self.size, self.size), (0.5,) * 3, (0.5,) * 3)

    def feature(self, block: int) -> FeatureSpec:  # noqa: ARG002
        """Every block has the same output."""
        return FeatureSpec(self.model.width, "NCHW", (self.size // 4, self.size // 4))

    def stem(self, images: Tensor) -> Tensor:
        """Run convolution and norm."""
        features: Tensor = self.model.stem(images)
        return features

    def block(self, index: int, features: Tensor) -> Tensor:
        """Run one residual block."""
        output: Tensor = self.model.blocks[index](features)
        return output

    def head(self, features: Tensor) -> Tensor:
        """Pool and classify."""
        logits: Tensor = self.model.fc(features.mean((2, 3)))
        return logits

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        """Return the block."""
        return [self.model.blocks[index]]

    def head_modules(self) -> Iterable[nn.Module]:
        """Return the classifier."""
        return [self.model.fc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    BlocksAnchor.size = args.size
    anchors = [BlocksAnchor(Blocks(width, args.depth), f"{width} wide") for width in (args.width, args.width * 2)]
    plain = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval().to(args.device)
    kept = deepcopy(plain)
    recalibrate(kept, torch.randn(8, *plain.input.size))
    images = torch.randn(args.batch_size, *plain.input.size, device=args.device)
    route = next(stitch for stitch in plain.space if len(stitch.segments[0]) == args.depth // 2)

    sides = {
        "anchor's own model": lambda: plain.anchor(0).model(images),
        "anchor without statistics": lambda: plain(images, 0),
        "anchor with statistics": lambda: kept(images, 0),
        "stitch without statistics": lambda: plain(images, route),
        "stitch with statistics": lambda: kept(images, route),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    with torch.inference_mode():
        for repeat in range(args.repeats + 10):
            for name, run in sides.items():
                begin = time.perf_counter()
                run()
                if args.device != "cpu":
                    torch.cuda.synchronize()
                if repeat >= 10:  # the first rounds warm up
                    times[name].append(time.perf_counter() - begin)
    print(f"{args.device}, batch {args.batch_size}, {args.size} pixels, stitch {route}")
    for name, found in times.items():
        print(f"{name}: {1e3 * median(found):.3f} ms")
    for what in ("anchor", "stitch"):
        ratio = median(times[f"{what} with statistics"]) / median(times[f"{what} without statistics"])
        print(f"ratio of the {what} with to without statistics: {ratio:.3f}")


if __name__ == "__main__":
    main()
