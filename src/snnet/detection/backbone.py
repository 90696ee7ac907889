"""The maps of any route as the pyramid that Faster R-CNN, Mask R-CNN and RetinaNet stand on."""

from math import ceil, log2
from typing import Any

from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool

from snnet.errors import HeadError
from snnet.heads import Pyramid, resized
from snnet.network import SNNet, StitchLike
from snnet.space import Stitch


class StitchedBackbone(nn.Module):
    """A backbone of torchvision's detectors that runs one stitch of a network; which one can be changed at any time.

    Maps are normalized over their channels, made a pyramid, see `snnet.heads.Pyramid`, and go through torchvision's
    feature pyramid network. A detector pools boxes at strides of powers of two, so the maps of plain ViTs with other
    patches, such as 14x14, are resized to these.

    Args:
        net: The network, which gives maps: `net.set_taps(4)`, then `snnet.initialize(net, images)`.
        stitch: The stitch to begin with, by number, id or value; `net.active` if None.
        out_channels: Width of all maps of the pyramid.
        extra_blocks: What torchvision appends to the pyramid; one coarser map by default.

    Attributes:
        out_channels: Width of all maps, which detectors read.
        strides: Pixels of the image for each position of a map, along an axis, of the maps before `extra_blocks`.

    Raises:
        HeadError: If the network gives no maps, or no pyramid can be made of them.
        SpaceError: If it has no such stitch.
    """

    def __init__(
        self,
        net: SNNet,
        stitch: StitchLike | None = None,
        *,
        out_channels: int = 256,
        extra_blocks: ExtraFPNBlock | None = None,
    ) -> None:
        super().__init__()
        if net.taps is None:
            raise HeadError(
                "The network gives no feature maps (taps is None); make the layers that they go through with "
                "net.set_taps(4), and fit them: snnet.initialize(net, images)."
            )
        maps = net.map_specs
        self.net = net
        self.norms = nn.ModuleList(LayerNorm2d(spec.channels) for spec in maps)
        self.pyramid = Pyramid(maps)
        self.strides = tuple(2 ** round(log2(stride)) for stride in self.pyramid.reductions)
        self.fpn = FeaturePyramidNetwork(list(self.pyramid.channels), out_channels, extra_blocks or LastLevelMaxPool())
        self.out_channels = out_channels
        self._stitch = net.find(net.active if stitch is None else stitch)

    @property
    def stitch(self) -> Stitch:
        """The stitch that runs. Set it to a number, an id or a stitch, between two calls."""
        return self._stitch

    @stitch.setter
    def stitch(self, stitch: StitchLike) -> None:
        self._stitch = self.net.find(stitch)

    @property
    def input_options(self) -> dict[str, Any]:
        """What a detector must be told of the images: `FasterRCNN(backbone, num_classes, **backbone.input_options)`.

        It then takes images of any size with pixels from 0 to 1, scales them to those that the network takes, and
        normalizes them as it wants them.
        """
        _, height, width = self.net.input.size
        return {
            "min_size": min(height, width),
            "max_size": max(height, width),
            "fixed_size": (width, height),
            "size_divisible": 1,
            "image_mean": list(self.net.input.mean),
            "image_std": list(self.net.input.std),
        }

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Turn images `(B, C, H, W)` into maps by name, from fine to coarse, `(B, out_channels, H_k, W_k)` each."""
        maps = self.net.features(images, self._stitch)
        levels = self.pyramid([norm(each) for norm, each in zip(self.norms, maps, strict=True)])
        fitted = {
            str(number): resized(level, [ceil(side / stride) for side in images.shape[2:]])
            for number, (level, stride) in enumerate(zip(levels, self.strides, strict=True))
        }
        found: dict[str, Tensor] = self.fpn(fitted)
        return found
