"""Stitches of a network from arrays to arrays, without gradients."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from snnet.data import Pixels
from snnet.network.answers import Run
from snnet.space import Stitch
from snnet.utils import evaluating


def runner(net: nn.Module) -> Run:
    """Return what runs a stitch of a network: in evaluation mode, where the network is, in its own type of number."""

    def run(pixels: Pixels, stitch: Stitch) -> NDArray[Any]:
        with evaluating(net) as device, torch.inference_mode():
            images = torch.from_numpy(pixels).to(device, next(net.parameters()).dtype)
            logits: NDArray[Any] = net(images, stitch).float().cpu().numpy()
        return logits

    return run
