"""One stitch of a network as a module of its own, for whatever takes a module: tools, exporters, metrics."""

from torch import Tensor, nn

from snnet.route import Stitch


class StitchModule(nn.Module):
    """Runs one stitch; the weights are the network's.

    Args:
        net: The network, called as `net(images, stitch)`.
        stitch: The stitch.
    """

    def __init__(self, net: nn.Module, stitch: Stitch) -> None:
        super().__init__()
        self.net = net
        self.stitch = stitch

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` to logits `(B, classes)`."""
        logits: Tensor = self.net(images, self.stitch)
        return logits
