"""Two small ResNets for the 32x32 color images of CIFAR-10, six times apart in multiply-adds.

Every command knows them when it is given this file with `--family-file`.
"""

from timm.models.resnet import BasicBlock, ResNet
from torch import nn

import snnet

CIFAR = {
    "input_size": (3, 32, 32),
    "mean": (0.4914, 0.4822, 0.4465),
    "std": (0.2470, 0.2435, 0.2616),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
}


def build(width: int, layers: tuple[int, ...], num_classes: int) -> ResNet:
    """Return a ResNet that begins with a 3x3 convolution; its maps have sides of 16, 8, 4 and 2."""
    channels = (width, 2 * width, 4 * width, 8 * width)
    model = ResNet(BasicBlock, layers, num_classes=num_classes, channels=channels)
    model.conv1 = nn.Conv2d(3, model.conv1.out_channels, 3, stride=2, padding=1, bias=False)
    model.maxpool = nn.Identity()
    model.pretrained_cfg = model.default_cfg = CIFAR
    return model


@snnet.MODELS.register("cifar_resnet_small")
def cifar_resnet_small(num_classes: int = 10) -> ResNet:
    """Widths 8 to 64, 1-2-2-1 blocks."""
    return build(8, (1, 2, 2, 1), num_classes)


@snnet.MODELS.register("cifar_resnet_base")
def cifar_resnet_base(num_classes: int = 10) -> ResNet:
    """Widths 20 to 160, 1-4-4-1 blocks."""
    return build(20, (1, 4, 4, 1), num_classes)
