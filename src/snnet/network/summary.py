"""A network in a few lines, for people."""

from itertools import accumulate

from torch import nn

from snnet.anchors import Anchor
from snnet.network.interface import Network
from snnet.utils import human, precision_of

_MODES = ("evaluation", "training")


def summary(net: Network) -> str:
    """Return what `repr` says of a network: anchors, stitches, layers, weights, what was measured, and where it is."""
    assert isinstance(net, nn.Module)
    weights = list(net.parameters())
    table = "none yet: snnet.profile(net) measures costs, snnet.evaluate(net, data) scores"
    if net.table is not None:
        table = f"{len(net.table)} stitches with {', '.join(net.table.columns) or 'nothing measured'}"
    lines = [
        f"SNNet: {len(net.space)} stitches of {len(net.family)} anchors, {len(net.space.layers)} stitching layers, "
        f"{human(sum(weight.numel() for weight in weights))} parameters",
        *(f"  anchor {number}: {_line(anchor)}" for number, anchor in enumerate(net.family)),
        f"  images: {' x '.join(map(str, net.input.size))}, {net.family[0].num_classes} classes",
        f"  table: {table}",
        f"  on {weights[0].device}, {precision_of(weights[0].dtype)}, {_MODES[net.training]} mode",
    ]
    return "\n".join(lines)


def _line(anchor: Anchor) -> str:
    widths = [anchor.feature(last - 1).channels for last in accumulate(anchor.depths)]
    depths, channels = ("-".join(map(str, numbers)) for numbers in (anchor.depths, widths))
    return f"{anchor.name}, depth {depths}, width {channels}, {human(sum(p.numel() for p in anchor.parameters()))}"
