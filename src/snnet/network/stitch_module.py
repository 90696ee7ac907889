# Tested in tests/network/test_extract.py.
"""One stitch of a network as a module of its own, for whatever takes a module: tools, exporters, metrics."""

from torch import Tensor, nn

from snnet.network.extract import RouteModule, extract_route
from snnet.network.fold_norms import fold_batch_norms
from snnet.network.interface import Network
from snnet.space import Stitch


class StitchModule(nn.Module):
    """Runs one stitch; the weights are the network's.

    Args:
        net: The network, called as `net(images, stitch)`.
        stitch: The stitch.
    """

    net: Network

    def __init__(self, net: Network, stitch: Stitch) -> None:
        super().__init__()
        self.net = net
        self.stitch = stitch

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` to logits `(B, classes)`."""
        return self.net(images, self.stitch)

    def to_module(self, *, fold_batch_norm: bool = False, share: bool = False) -> RouteModule:
        """Return the stitch without its network: a module in evaluation mode with the weights of this route alone.

        Its weights bear the names that they have in the network's `state_dict()`. Batch norms hold the running
        statistics of this stitch, and low-rank updates of stitching layers are merged.

        Args:
            fold_batch_norm: Fold every batch norm that directly follows a convolution or a linear layer into it,
                which saves time; weights that are folded differ from the network's.
            share: Hold the network's own tensors in place of copies, wherever their values are the same.

        Raises:
            ExportError: If the route runs a block twice with different running statistics.
        """
        module = extract_route(self.net, self.stitch, share=share)
        if fold_batch_norm:
            fold_batch_norms(module, self.net.input.size)
        return module
