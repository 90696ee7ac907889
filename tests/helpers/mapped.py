"""A small network that ends in a dense head, of two random ViTs of unequal depth, and a table of it."""

import torch

from snnet.network import SNNet
from snnet.space import StitchSpace
from snnet.table import StitchRow, StitchTable
from tests.conftest import build_tiny_anchor

CLASSES = ("ground", "shirt", "bag", "boot", "coat")


def build_dense_net() -> SNNet:
    """Routes end in a linear head of five classes; the table says how good they are by mIoU."""
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(8, depth=2), build_tiny_anchor(12, depth=4)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors], kernel_size=2, stride=1)).eval()
    net.set_head("linear", len(CLASSES))
    net.classes = CLASSES
    rows = [StitchRow(n, str(s), {"macs": 1e5 + 1e4 * n, "miou": 20.0 + n}) for n, s in enumerate(net.space)]
    net.table = StitchTable(rows, {"device": "cpu", "score": "miou"})
    return net
