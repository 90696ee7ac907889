# Tested in tests/recipes/paper/test_chart.py.
"""Numbers that others have published, carried along as facts; every file names its source in its first line."""

import csv
from importlib.resources import files
from pathlib import Path

from snnet.errors import TableError
from snnet.table import StitchRow, StitchTable

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
