# Tested in tests/network/test_hub.py.
"""What a network is, what it was made from, and what its routes cost and score: as a model card and in a few lines."""

from importlib.resources import files
from itertools import accumulate
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from torch import nn

from snnet.anchors import Anchor
from snnet.network.interface import Network
from snnet.table import COST, StitchRow, StitchTable, column, gain_if_known, measured, pareto_frontier
from snnet.utils import counted, human, precision_of

MARKER = "Written by snnet, and again whenever the network is saved. Remove this line to keep your own text."
_TAGS = ("image-classification", "stitchable-neural-network")
_CLASSES_SHOWN = 20


def model_card(
    net: Network, *, repo_id: str | None = None, recipe: str | None = None, picture: str | None = None
) -> ModelCard:
    """Write the card of a network; the frontier is listed where costs and scores were measured.

    Args:
        net: The network.
        repo_id: What `snnet.load` is given.
        recipe: The recipe it was trained with, as YAML.
        picture: Name of the picture of the curve beside the card.
    """
    table = net.table
    columns = [] if table is None else [name for name in table.columns if name != "loss"]
    frontier = list(pareto_frontier(table)) if table is not None and has_curve(table) else []
    licenses = {anchor.license for anchor in net.family}
    # Anchors under different licenses have no one license to name; the card lists each.
    license_ = (licenses.pop() or "unknown") if len(licenses) == 1 else "other"
    card: ModelCard = ModelCard.from_template(
        ModelCardData(library_name="snnet", pipeline_tag=_TAGS[0], tags=list(_TAGS), license=license_),
        marker=MARKER,
        template_str=files("snnet.network").joinpath("card.md").read_text(encoding="utf-8"),
        anchors=[(a.name, "-".join(map(str, a.depths)), a.license or "not recorded") for a in net.family],
        num_stitches=len(net.space),
        num_layers=len(net.space.layers),
        stages=", ".join(map(str, sorted({layer.stage for layer in net.space.layers}))) or "none",
        settings=net.settings,
        images=net.input,
        classes=[f"{number} {name}" for number, name in enumerate(net.classes or ())],
        classes_shown=_CLASSES_SHOWN,
        columns=[column(name).heading for name in columns],
        rows=[[str(row.index), f"`{row.stitch}`", *(_cell(row, name) for name in columns)] for row in frontier],
        budget=f"{frontier[len(frontier) // 2].values[COST]:.0f}" if frontier else None,
        last=net.space[-1].id,
        repo_id=repo_id or "path/to/network",
        recipe=recipe and recipe.strip(),
        picture=picture,
        gain=None if table is None else gain_if_known(table),
    )
    return card


def has_curve(table: StitchTable | None) -> bool:
    """Tell whether any stitch has both MACs and top-1, so that there is a frontier to list and to draw."""
    return table is not None and any(measured(row, COST, table.score) for row in table)


def _cell(row: StitchRow, name: str) -> str:
    return column(name).text(row.values[name]) if measured(row, name) else ""


def is_generated(card: Path) -> bool:
    """Tell whether a card is ours to replace: it is not there, or bears the line that says so."""
    return not card.is_file() or MARKER in card.read_text(encoding="utf-8", errors="replace")


def summary(net: Network) -> str:
    """Return what `repr` says of a network: anchors, stitches, layers, weights, what was measured, and where it is."""
    assert isinstance(net, nn.Module)
    weights = list(net.parameters())
    table = "none yet: snnet.profile(net) measures costs, snnet.evaluate(net, data) scores"
    if net.table is not None:
        table = f"{counted(len(net.table), 'stitch')} with {', '.join(net.table.columns) or 'nothing measured'}"
    mode = "training" if net.training else "evaluation"
    lines = [
        f"SNNet: {net.space.counts}, {human(sum(weight.numel() for weight in weights))} parameters",
        *(f"  anchor {number}: {_line(anchor)}" for number, anchor in enumerate(net.family)),
        f"  images: {' x '.join(map(str, net.input.size))}, {counted(net.num_classes, 'class')}",
        f"  table: {table}",
        f"  on {weights[0].device}, {precision_of(weights[0].dtype)}, {mode} mode",
    ]
    return "\n".join(lines)


def _line(anchor: Anchor) -> str:
    widths = [anchor.feature(last - 1).channels for last in accumulate(anchor.depths)]
    depths, channels = ("-".join(map(str, numbers)) for numbers in (anchor.depths, widths))
    return f"{anchor.name}, depth {depths}, width {channels}, {human(sum(p.numel() for p in anchor.parameters()))}"
