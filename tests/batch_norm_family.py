"""A family of tiny convolutional anchors with batch norm in stem, blocks, transitions and head."""

from collections.abc import Iterable
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from timm.models import register_model
from torch import Tensor, nn

from snnet.anchors import ANCHORS, Anchor
from snnet.network import SNNet
from snnet.space import FeatureSpec, InputSpec, StitchSpace

WIDTHS, DEPTHS, SIZE = (4, 6, 8), (2, 2), 8


class Block(nn.Module):
    """Convolution, batch norm, ReLU beside a shortcut; the first of a later stage halves the grid."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)) + self.shortcut(x))


class TinyConvNet(nn.Module):
    def __init__(self, width: int, size: int = SIZE, num_classes: int = 10) -> None:
        super().__init__()
        self.width, self.size = width, size
        self.conv1 = nn.Conv2d(1, width, 3, 1, 1)
        self.bn1 = BatchNormAct2d(width)
        widths = [width] * DEPTHS[0] + [2 * width] * DEPTHS[1]
        ways = zip([width, *widths[:-1]], widths, strict=True)
        self.blocks = nn.ModuleList(Block(a, b, 1 + (a != b)) for a, b in ways)
        self.norm = nn.BatchNorm1d(2 * width)
        self.fc = nn.Linear(2 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.fc(self.norm(x.mean(dim=(2, 3))))
        return logits


@register_model
def tiny_conv_bn_4(pretrained: bool = False, **_: Any) -> TinyConvNet:
    """For 28x28 images, by name."""
    return TinyConvNet(4, 28)


@register_model
def tiny_conv_bn_6(pretrained: bool = False, **_: Any) -> TinyConvNet:
    """For 28x28 images, by name."""
    return TinyConvNet(6, 28)


@ANCHORS.register("tiny-conv-of-tests")
class TinyConvAnchor(Anchor):
    model: TinyConvNet

    @classmethod
    def accepts(cls, model: nn.Module) -> bool:
        return isinstance(model, TinyConvNet)

    @property
    def depths(self) -> tuple[int, ...]:
        return DEPTHS

    @property
    def num_classes(self) -> int:
        return self.model.fc.out_features

    @property
    def input(self) -> InputSpec:
        return InputSpec((1, self.model.size, self.model.size), (0.5,), (0.5,))

    def feature(self, block: int) -> FeatureSpec:
        late = block >= DEPTHS[0]
        grid = self.model.size // 2 if late else self.model.size
        return FeatureSpec(self.model.width * (2 if late else 1), "NCHW", (grid, grid), 0)

    def stem(self, images: Tensor) -> Tensor:
        features: Tensor = self.model.bn1(self.model.conv1(images))
        return features

    def block(self, index: int, features: Tensor) -> Tensor:
        output: Tensor = self.model.blocks[index](features)
        return output

    def head(self, features: Tensor) -> Tensor:
        logits: Tensor = self.model.fc(self.model.norm(features.mean(dim=(2, 3))))
        return logits

    def block_modules(self, index: int) -> Iterable[nn.Module]:
        return [self.model.blocks[index]]

    def head_modules(self) -> Iterable[nn.Module]:
        return [self.model.norm, self.model.fc]


def build_conv_net(widths: tuple[int, ...] = WIDTHS, **space: object) -> SNNet:
    """Random weights, and running statistics that fit nothing."""
    torch.manual_seed(0)
    anchors = [TinyConvAnchor(TinyConvNet(width), f"conv{width}") for width in widths]
    for anchor in anchors:
        for part in anchor.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(part.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
                nn.init.uniform_(part.running_var, 0.5, 2.0)  # type: ignore[arg-type]
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.uniform_(part.bias, -0.5, 0.5)
    return SNNet(anchors, StitchSpace.build([a.depths for a in anchors], **space)).eval()  # type: ignore[arg-type]
