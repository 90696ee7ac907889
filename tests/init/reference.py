"""The same problem written down directly: all rows of a layer stacked, solved by `torch.linalg.lstsq`."""

import torch
from torch import Tensor

from snnet.anchors import Anchor
from snnet.network import SNNet
from snnet.space import LayerSpec


@torch.no_grad()
def stacked(net: SNNet, layer: LayerSpec, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return `A` and `B` in float64, the rows of every cut below one another."""
    fronts, backs = [], []
    for cut in layer.cuts:
        front, back = net.anchor(cut.front), net.anchor(cut.back)
        fronts.append(_rows(front, images, cut.leave))
        backs.append(_rows(back, images, cut.enter - 1))
    return torch.cat(fronts).double(), torch.cat(backs).double()


def _rows(anchor: Anchor, images: Tensor, block: int) -> Tensor:
    features = anchor.run(anchor.enter(images), 0, block + 1)
    channels_last = features.permute(0, 2, 3, 1) if anchor.feature(block).layout == "NCHW" else features
    return channels_last.reshape(-1, channels_last.shape[-1])


def lstsq_map(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return `W, c` of least norm of `W`: the bias takes up the means."""
    mean_a, mean_b = a.mean(dim=0), b.mean(dim=0)
    weight = torch.linalg.lstsq(a - mean_a, b - mean_b, driver="gelsd", rcond=1e-10).solution
    return weight, mean_b - mean_a @ weight


@torch.no_grad()
def relative_residual(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor) -> float:
    return float((a @ weight.double() + bias.double() - b).norm() / b.norm())
