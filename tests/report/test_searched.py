from pathlib import Path

import pytest
from matplotlib.figure import Figure

from snnet.errors import TableError
from snnet.report import draw_search
from snnet.space import Stitch
from snnet.table import DIVERGENCE, EXPECTED, StitchRow, StitchTable

META = {"anchors": ["tiny"], "depths": [[4]]}
ROWS = [
    StitchRow(0, "0:0-4", {"macs": 40.0, DIVERGENCE: 0.0}),
    StitchRow(1, "0:0-1,0:2-4", {"macs": 30.0, DIVERGENCE: 0.1, EXPECTED: 0.1}),
    StitchRow(2, "0:0-2,0:3-4", {"macs": 30.0, EXPECTED: 0.3}),
]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_candidates_and_what_was_chosen_are_drawn(suffix: str, tmp_path: Path) -> None:
    path = draw_search(StitchTable(ROWS, META), tmp_path / f"a.{suffix}", [Stitch("0:0-4"), Stitch("0:0-1,0:2-4")])
    data = path.read_bytes()
    if suffix == "png":
        assert data.startswith(b"\x89PNG")
    else:
        for words in (b"2 stitches chosen among 3 candidates", b"2 routes run", b"expected", b"chosen"):
            assert words in data


def test_anchors_bear_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr("snnet.report.searched.save_figure", lambda figure, path: drawn.append(figure))
    draw_search(StitchTable(ROWS, META), tmp_path / "a.png", [Stitch("0:0-4")])
    assert "tiny" in [text.get_text() for text in drawn[0].axes[0].texts]


def test_what_is_no_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No candidate of this table was run"):
        draw_search(StitchTable(ROWS[2:], META), tmp_path / "a.png", [])
    with pytest.raises(TableError, match=r"cannot be written as 'a\.gif'"):
        draw_search(StitchTable(ROWS, META), tmp_path / "a.gif", [])
    assert not list(tmp_path.iterdir())
