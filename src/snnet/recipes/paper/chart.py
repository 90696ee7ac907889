"""What others have published, carried along as facts, and stitched networks among individual models (figure 2)."""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from snnet.errors import TableError
from snnet.report import Bubble, BubbleGroup, draw_bubbles, write_bubble_page
from snnet.table import StitchRow, StitchTable, measured
from snnet.utils import counted

# Every file names its source in its first line.
_DATA = Path(str(files("snnet.recipes.paper") / "data"))
TIMM_MODELS = _DATA / "timm_imagenet.csv"
"""ImageNet-1K top-1, parameters and MACs of timm's models."""


def published_table(name: str) -> StitchTable:
    """Return the published table of a network: `deit_ti_s_b` or `swin_ti_s_b`, MACs, parameters and ImageNet top-1."""
    source, rows = read_csv(_DATA / f"{name}.csv", ("stitch", "macs", "params", "top1"))
    found = (
        StitchRow(n, row["stitch"], {key: float(row[key]) for key in ("macs", "params", "top1")})
        for n, row in enumerate(rows)
    )
    return StitchTable(found, {"anchors": source.partition(":")[0].split(", "), "source": source})


def table_1() -> dict[str, dict[str, str]]:
    """Return the rows of the paper's table 1 by stitch: blocks, GMACs, parameters (M), top-1 alone and together."""
    _, rows = read_csv(_DATA / "table_1.csv", ("stitch", "blocks", "gmacs", "params_m", "alone", "together"))
    return {row["stitch"]: row for row in rows}


def read_csv(path: str | Path, columns: tuple[str, ...]) -> tuple[str, list[dict[str, str]]]:
    """Return the first comment line and the rows of a CSV file whose comments begin with `#`.

    Raises:
        TableError: If the file or one of the columns is missing.
    """
    source = Path(path)
    if not source.is_file():
        raise TableError(f"There is no file {source}; give a CSV file with the columns {', '.join(columns)}.")
    lines = source.read_text(encoding="utf-8").splitlines()
    comments = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    lacking = [column for column in columns if not rows or column not in rows[0]]
    if lacking:
        has = ", ".join(rows[0]) if rows else "no rows"
        raise TableError(f"{source} lacks the columns {', '.join(lacking)}; it has {has}.")
    return (comments[0] if comments else ""), rows


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
    title = f"{counted(count, 'stitch')} among {counted(len(alone), 'individual model')}"
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
