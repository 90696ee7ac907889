import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from snnet.errors import TableError
from snnet.report import draw_curve, write_page, write_report
from snnet.table import StitchRow, StitchTable, pareto_frontier, select


@pytest.fixture
def table(reference_dir: Path) -> StitchTable:
    return StitchTable.load(reference_dir / "deit_ti_s_b.json")


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.S
    )
    assert found
    return dict(json.loads(found[1]))


def test_the_page_is_small_and_refers_to_nothing_outside(table: StitchTable, tmp_path: Path) -> None:
    text = write_page(table, tmp_path / "index.html", before=table).read_text(encoding="utf-8")
    assert len(text) < 100_000
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<link[^>]+stylesheet|<script[^>]+src=|@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_the_choices_are_those_of_select(table: StitchTable, tmp_path: Path) -> None:
    data = data_of(write_page(table, tmp_path / "index.html"))
    for cost, view in data["views"].items():
        assert [data["rows"][n]["id"] for n in view["frontier"]] == [r.stitch for r in pareto_frontier(table, cost)]
        for at, position in view["choices"]:
            assert data["rows"][position]["id"] == select(table, **{cost: at}).id


def test_ties_on_the_frontier_are_settled_as_select_settles_them(tmp_path: Path) -> None:
    same = {"macs": 5, "top1": 70.0}
    rows = [StitchRow(0, "0:0-4", same | {"params": 9}), StitchRow(1, "1:0-4", same | {"params": 3})]
    view = data_of(write_page(StitchTable(rows), tmp_path / "index.html"))["views"]["macs"]
    assert view["frontier"] == [0, 1]
    assert view["choices"] == [[5, 1]]


def test_missing_and_nan_scores_are_left_out_of_the_data(table: StitchTable, tmp_path: Path) -> None:
    data = data_of(write_page(table.with_column("top1", {table[5].stitch: math.nan}), tmp_path / "index.html"))
    assert "top1" not in data["rows"][5]["values"]
    assert data["columns"][-1]["missing"] == "not evaluated"


def test_predicted_scores_bear_their_errors(table: StitchTable, tmp_path: Path) -> None:
    guessed = table[5].stitch
    errors = table.with_column("top1_error", {guessed: 0.4, table[6].stitch: math.nan})
    data = data_of(write_page(errors, tmp_path / "index.html"))
    assert {row["id"]: row["error"] for row in data["rows"] if "error" in row} == {guessed: 0.4}
    assert "top1_error" not in [column["name"] for column in data["columns"]]


def test_what_a_user_wrote_cannot_become_markup(table: StitchTable, tmp_path: Path) -> None:
    evil = "</script><b>$data"
    page = write_page(StitchTable(table.rows, {"anchors": [evil] * 3}), tmp_path / "index.html", title="a < b & $data")
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    assert "<b>" not in text
    assert "<h1>a &lt; b &amp; $data</h1>" in text
    assert data_of(page)["anchors"][0]["name"] == evil


def test_a_table_without_costs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="`snnet profile` adds macs and params"):
        write_page(StitchTable([StitchRow(0, "0:0-4", {"top1": 1.0})]), tmp_path / "index.html")


def test_a_report_is_three_files(table: StitchTable, tmp_path: Path) -> None:
    paths = write_report(table, tmp_path / "report", before=table, title="Title")
    assert paths == {name: tmp_path / "report" / name for name in ("curve.png", "curve.svg", "index.html")}
    assert all(path.stat().st_size > 10_000 for path in paths.values())


def test_unreliable_times_are_marked_and_explained(table: StitchTable, tmp_path: Path) -> None:
    page = write_page(table, tmp_path / "index.html")
    assert not any(data_of(page)["doubts"].values()) and "unreliable time:" not in page.read_text(encoding="utf-8")
    for part, value in {"latency_ms": 1e-9, "latency_ms_low": 0.99e-9, "latency_ms_high": 1.01e-9}.items():
        table = table.with_column(part, {row.stitch: value * row.macs for row in table})
    page = write_page(table.with_column("latency_ms_high", {"0:0-12": 1587.0}), tmp_path / "index.html")
    assert data_of(page)["doubts"]["latency_ms"] == {"0:0-12": "between 1.246 and 1587 ms"}
    assert "<footer>MACs are multiply-adds of one forward pass at batch 1. ? marks an unreliable time: the" in (
        page.read_text(encoding="utf-8")
    )


def test_a_place_that_cannot_be_written_is_told_as_the_command_line_tells_it(
    table: StitchTable, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("theirs")
    with pytest.raises(TableError, match=r"file cannot be made, for .*file is a file; name a directory"):
        write_report(table, tmp_path / "file")
    for path, words in (
        (tmp_path / "file" / "a", "another place than in"),
        (tmp_path, "it is a directory; name a file"),
    ):
        with pytest.raises(TableError, match=words):
            write_page(table, path)
    with pytest.raises(TableError, match="another place than in"):
        draw_curve(table, tmp_path / "file" / "a.png")
    assert (tmp_path / "file").read_text() == "theirs"
