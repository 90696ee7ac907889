import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from snnet.errors import TableError
from snnet.recipes.paper import published_table
from snnet.report import Bubble, BubbleGroup, Panel, draw_bubbles, draw_comparison
from snnet.table import StitchRow, StitchTable

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def table() -> StitchTable:
    return published_table("deit_ti_s_b")


def marks(path: Path) -> list[int]:
    groups = [g for g in ET.parse(path).getroot().iter(f"{SVG}g") if "PathColl" in g.get("id", "")]
    # Marks of one size are uses of one path, marks of several are paths of their own.
    return [len(list(g.iter(f"{SVG}use"))) or len(list(g.iter(f"{SVG}path"))) for g in groups]


def test_every_table_of_every_panel_is_drawn(table: StitchTable, tmp_path: Path) -> None:
    panels = [Panel("left", {"all": table, "anchors": table.anchors}), Panel("right", {"all": table})]
    counts = marks(draw_comparison(panels, tmp_path / "deep" / "both.svg", title="A title"))
    assert counts.count(68) == 2 and counts.count(3) == 3
    text = (tmp_path / "deep" / "both.svg").read_text()
    assert all(f"<!-- {word} -->" in text for word in ("left", "right", "all", "anchors", "A title"))


def test_a_png_grows_with_the_panels(table: StitchTable, tmp_path: Path) -> None:
    widths = []
    for count in (1, 2):
        path = draw_comparison([Panel(str(n), {"all": table}) for n in range(count)], tmp_path / f"{count}.png")
        with Image.open(path) as image:
            widths.append(image.size[0])
            assert len(image.convert("RGB").getcolors(100_000)) > 50
    assert widths[0] < widths[1]


def test_nothing_to_draw_is_refused(table: StitchTable, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no table to draw"):
        draw_comparison([], tmp_path / "none.png")
    with pytest.raises(TableError, match="end the name in"):
        draw_comparison([Panel("", {"all": table})], tmp_path / "curve.gif")
    bare = StitchTable([StitchRow(0, "0:0-4", {"macs": 3.0})])
    with pytest.raises(TableError, match="top1"):
        draw_comparison([Panel("", {"bare": bare})], tmp_path / "bare.png")
    with pytest.raises(TableError, match="no model to draw"):
        draw_bubbles([BubbleGroup("none", ())], tmp_path / "none.png", title="")


def test_dots_of_models_are_as_many_as_models(tmp_path: Path) -> None:
    groups = [
        BubbleGroup("few", (Bubble("a", 1e9, 5e6, 70.0), Bubble("b", 3e9, 5e7, 80.0))),
        BubbleGroup("one", (Bubble("c", 2e9, 1e7, 75.0),), main=True),
    ]
    assert marks(draw_bubbles(groups, tmp_path / "dots.svg", title="dots"))[:2] == [2, 1]
