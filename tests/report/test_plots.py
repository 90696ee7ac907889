import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from snnet.errors import TableError
from snnet.report import draw_curve
from snnet.table import StitchRow, StitchTable

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def table(reference_dir: Path) -> StitchTable:
    return StitchTable.load(reference_dir / "deit_ti_s_b.json")


def test_a_png_is_a_picture_with_something_on_it(table: StitchTable, tmp_path: Path) -> None:
    path = draw_curve(table, tmp_path / "deep" / "curve.png", before=table, title="A title")
    with Image.open(path) as image:
        assert image.size == (1520, 960)
        assert len(image.convert("RGB").getcolors(100_000)) > 100


def test_an_svg_has_a_mark_for_every_stitch(table: StitchTable, tmp_path: Path) -> None:
    root = ET.parse(draw_curve(table, tmp_path / "curve.svg", cost="params")).getroot()
    counts = [len(list(group.iter(f"{SVG}use"))) for group in root.iter(f"{SVG}g") if "PathColl" in group.get("id", "")]
    # Two pairs of anchors, three anchors; the legend's own marks follow.
    assert counts[:3] == [34, 34, 3]


def test_stitches_without_a_score_are_left_out(table: StitchTable, tmp_path: Path) -> None:
    holes = table.with_column("top1", {table[3].stitch: math.nan, table[0].stitch: math.nan})
    root = ET.parse(draw_curve(holes, tmp_path / "curve.svg")).getroot()
    counts = [len(list(group.iter(f"{SVG}use"))) for group in root.iter(f"{SVG}g") if "PathColl" in group.get("id", "")]
    assert counts[:3] == [33, 34, 2]


def test_unreliable_times_bear_a_ring(table: StitchTable, tmp_path: Path) -> None:
    for part, value in {"latency_ms": 1e-9, "latency_ms_low": 0.99e-9, "latency_ms_high": 1.01e-9}.items():
        table = table.with_column(part, {row.stitch: value * row.macs for row in table})
    marked = table.with_column("latency_ms_high", {table[3].stitch: 1587.0, table[4].stitch: 1587.0})
    for cost, rings in (("latency_ms", 2), ("macs", 0)):
        text = draw_curve(marked, tmp_path / "curve.svg", cost=cost).read_text(encoding="utf-8")
        assert text.count("<!-- unreliable time -->") == (rings > 0)
        groups = [group for group in ET.fromstring(text).iter(f"{SVG}g") if "PathColl" in group.get("id", "")]
        counts = [len(list(group.iter(f"{SVG}use"))) for group in groups]
        assert counts[2:4] == ([rings, 3] if rings else [3, 1])


def test_stitches_alone_and_one_stitch_can_be_drawn(table: StitchTable, tmp_path: Path) -> None:
    assert draw_curve(table.stitched, tmp_path / "stitched.png").stat().st_size > 10_000
    assert draw_curve(table.where(lambda row: row.index == 0), tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_a_failure_leaves_the_old_picture(table: StitchTable, tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    path.write_bytes(b"old")
    with pytest.raises(TableError, match="`snnet profile` adds it"):
        draw_curve(table, path, cost="latency_ms")
    with pytest.raises(TableError, match="`snnet evaluate`"):
        draw_curve(StitchTable([StitchRow(0, "0:0-4", {"macs": 1})]), path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["curve.png"]


def test_an_unknown_format_names_the_known(table: StitchTable, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"'curve.gif'; end the name in .png, .svg, .pdf"):
        draw_curve(table, tmp_path / "curve.gif")


def test_predicted_scores_have_error_bars(tmp_path: Path) -> None:
    values = [{"macs": 1e9, "top1": 70.0}, {"macs": 3e9, "top1": 80.0}, {"macs": 2e9, "top1": 74.0, "top1_error": 0.5}]
    ids = ("0:0-4", "1:0-4", "0:0-2,1:2-4")
    table = StitchTable([StitchRow(n, i, v) for n, (i, v) in enumerate(zip(ids, values, strict=True))])
    drawn = draw_curve(table, tmp_path / "curve.svg").read_text()
    assert " 1 predicted" in drawn and "LineCollection" in drawn
    plain = draw_curve(table.without("top1_error"), tmp_path / "plain.svg").read_text()
    assert "predicted" not in plain and "LineCollection" not in plain
