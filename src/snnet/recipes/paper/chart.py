"""Stitched networks among individual models: the chart of the project's page (figure 2)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from snnet.errors import TableError
from snnet.recipes.paper.published import TIMM_MODELS, read_csv
from snnet.report import Bubble, BubbleGroup, draw_bubbles, write_bubble_page
from snnet.table import StitchTable, measured

_COLUMNS = ("model", "img_size", "top1", "params_m", "gmacs")
_GROUPS = 7
# tf_efficientnetv2_s is one of efficientnet.
_KIND = re.compile(r"(?:tf_)?([a-z]+?)(?:v\d|[^a-z]|$)")


def read_models(path: str | Path = TIMM_MODELS) -> list[Bubble]:
    """Read individual models from a CSV file with columns model, img_size, top1, params_m (M) and gmacs.

    Further columns and lines that begin with `#` are passed over.

    Raises:
        TableError: If the file or a column is missing, or a value is not a positive number.
    """
    _, rows = read_csv(path, _COLUMNS)
    return [_bubble(row, Path(path)) for row in rows]


def stitches_as_bubbles(table: StitchTable) -> list[Bubble]:
    """Return the evaluated stitches of a network.

    Raises:
        TableError: If none has MACs, parameters and top-1.
    """
    kept = [row for row in table if measured(row, "macs", "params", "top1")]
    if not kept:
        raise TableError("The network's table has no stitch with macs, params and top1; evaluate it first.")
    return [Bubble(f"stitch {row.index}: {row.stitch}", row.macs, row.params, row.top1) for row in kept]


def model_groups(models: Sequence[Bubble]) -> list[BubbleGroup]:
    """Return models grouped by the first word of their names, the largest groups by name and the others together."""
    kinds = Counter(map(_kind, models))
    named = [kind for kind, _ in kinds.most_common(_GROUPS)]
    groups = {kind: [m for m in models if _kind(m) == kind] for kind in named}
    others = [m for m in models if _kind(m) not in named]
    return [BubbleGroup(kind, tuple(found)) for kind, found in (*groups.items(), ("other models", others)) if found]


def write_chart(
    networks: Mapping[str, StitchTable], output: str | Path, *, models: str | Path = TIMM_MODELS, stem: str = "figure-2"
) -> tuple[Path, ...]:
    """Write the chart as one interactive HTML page, PNG and SVG, and return their paths.

    Args:
        networks: Label -> table of a stitched network on the data set of the models.
        output: Directory.
        models: CSV file of individual models.
        stem: Beginning of the files' names.

    Raises:
        TableError: If a table or the file of models lacks what is drawn.
    """
    alone = read_models(models)
    stitched = [BubbleGroup(label, tuple(stitches_as_bubbles(t)), main=True) for label, t in networks.items()]
    groups = (*model_groups(alone), *stitched)
    count = sum(len(group.bubbles) for group in stitched)
    title = f"{count:,} stitches among {len(alone):,} individual models"
    out = Path(output)
    page = write_bubble_page(groups, out / f"{stem}.html", title=title)
    return (page, *(draw_bubbles(groups, out / f"{stem}{suffix}", title=title) for suffix in (".png", ".svg")))


def _bubble(row: Mapping[str, str], path: Path) -> Bubble:
    try:
        macs, params, top1 = 1e9 * float(row["gmacs"]), 1e6 * float(row["params_m"]), float(row["top1"])
    except (TypeError, ValueError):
        macs = params = top1 = 0.0
    if not (macs > 0 and params > 0 and top1 > 0):
        raise TableError(f"{path}: model {row['model']!r} needs positive numbers as gmacs, params_m and top1.")
    return Bubble(row["model"], macs, params, top1, f"{row['img_size']} x {row['img_size']} pixels")


def _kind(model: Bubble) -> str:
    found = _KIND.match(model.name.lower())
    return found[1] if found else model.name
