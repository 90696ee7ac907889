"""The model card: what a network is, what it was made from, and what its routes cost and score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from snnet.space import InputSpec, StitchSpace
from snnet.table import COST, SCORE, StitchRow, StitchTable, measured, pareto_frontier
from snnet.utils import human

MARKER = "Written by snnet, and again whenever the network is saved. Remove this line to keep your own text."
_TAGS = ("image-classification", "stitchable-neural-network")
_CLASSES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class AnchorFacts:
    """What the card says about an anchor.

    Attributes:
        name: Its name in tables and charts.
        depths: Blocks per stage.
        license: License of its published weights, by timm's record; None if that has none.
    """

    name: str
    depths: tuple[int, ...]
    license: str | None


def model_card(
    anchors: Sequence[AnchorFacts],
    space: StitchSpace,
    images: InputSpec,
    *,
    table: StitchTable | None = None,
    settings: Mapping[str, object] | None = None,
    classes: Sequence[str] | None = None,
    repo_id: str | None = None,
    recipe: str | None = None,
    picture: str | None = None,
) -> ModelCard:
    """Write the card of a network.

    Args:
        anchors: The family, in order.
        space: The stitches.
        images: The images that the network takes.
        table: Costs and scores, as far as they were measured; the frontier is listed where both were.
        settings: Further settings of the network, by name.
        classes: Names of the classes in the order of the logits, as far as they are known; the first ones are listed.
        repo_id: What `snnet.load` is given.
        recipe: The recipe it was trained with, as YAML.
        picture: Name of the picture of the curve beside the card.
    """
    frontier = list(pareto_frontier(table, COST, SCORE)) if table is not None and has_curve(table) else []
    licenses = {anchor.license for anchor in anchors}
    # Anchors under different licenses have no one license to name; the card lists each.
    license_ = (licenses.pop() or "unknown") if len(licenses) == 1 else "other"
    card: ModelCard = ModelCard.from_template(
        ModelCardData(
            library_name="snnet",
            pipeline_tag=_TAGS[0],
            tags=list(_TAGS),
            license=license_,
        ),
        marker=MARKER,
        template_str=files("snnet.network").joinpath("card.md").read_text(encoding="utf-8"),
        anchors=[(a.name, "-".join(map(str, a.depths)), a.license or "not recorded") for a in anchors],
        num_stitches=len(space),
        num_layers=len(space.layers),
        stages=", ".join(map(str, sorted({layer.stage for layer in space.layers}))) or "none",
        settings=dict(settings or {}),
        images=images,
        classes=[f"{number} {name}" for number, name in enumerate(classes or ())],
        classes_shown=_CLASSES_SHOWN,
        columns=_columns(table),
        rows=[_line(row, _columns(table)) for row in frontier],
        budget=f"{frontier[len(frontier) // 2].values[COST]:.0f}" if frontier else None,
        last=space[-1].id,
        repo_id=repo_id or "path/to/network",
        recipe=recipe and recipe.strip(),
        picture=picture,
    )
    return card


def has_curve(table: StitchTable | None) -> bool:
    """Tell whether any stitch has both MACs and top-1, so that there is a frontier to list and to draw."""
    return table is not None and any(measured(row, COST, SCORE) for row in table)


def _columns(table: StitchTable | None) -> list[str]:
    return [] if table is None else [name for name in table.columns if name != "loss"]


def _line(row: StitchRow, columns: Sequence[str]) -> list[str]:
    return [str(row.index), f"`{row.stitch}`", *(_cell(row, name) for name in columns)]


def _cell(row: StitchRow, column: str) -> str:
    value = row.get(column)
    if value is None or not math.isfinite(value):
        return ""
    if column.startswith("top"):
        return f"{value:.2f}%"
    number, _, unit = human(value).partition(" ")
    return f"{float(number):g} {unit}".rstrip()


def is_generated(card: Path) -> bool:
    """Tell whether a card is ours to replace: it is not there, or bears the line that says so."""
    return not card.is_file() or MARKER in card.read_text(encoding="utf-8")
