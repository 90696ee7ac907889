import copy
import json
import pickle
from pathlib import Path

import pytest

from snnet.errors import TableError
from snnet.space import Stitch
from snnet.table import StitchRow, StitchTable


@pytest.fixture
def table() -> StitchTable:
    rows = [
        StitchRow(0, "0:0-4", {"macs": 10, "params": 1}),
        StitchRow(1, "1:0-4", {"macs": 40, "params": 4, "top1": 80.0}),
        StitchRow(2, "0:0-2,1:2-4", {"macs": 25, "params": 3}),
    ]
    return StitchTable(rows, {"anchors": ["small", "large"]})


def test_rows_by_number_id_and_value(table: StitchTable) -> None:
    assert table[2] is table["0:0-2,1:2-4"] is table[Stitch("0:0-2,1:2-4")]
    assert table[2].macs == 25
    assert table[2].get("top1") is None
    assert 1 in table
    assert "1:0-4" in table
    assert "9:0-4" not in table
    with pytest.raises(AttributeError, match=r"0:0-4 has no column 'top1'. It has: macs, params"):
        _ = table[0].top1
    with pytest.raises(TableError, match=r"no stitch 0:0-3,1:2-4. Did you mean '0:0-2,1:2-4'"):
        _ = table["0:0-3,1:2-4"]


def test_saved_and_loaded_tables_are_equal(table: StitchTable, tmp_path: Path) -> None:
    loaded = StitchTable.load(table.save(tmp_path / "table.jsonl"))
    assert loaded.rows == table.rows
    assert loaded.meta == table.meta
    assert len((tmp_path / "table.jsonl").read_text().splitlines()) == 1 + len(table)


def test_columns_stand_in_the_standard_order(table: StitchTable) -> None:
    wider = table.with_column("latency_ms@8", {"1:0-4": 3.0}).with_column("loss", {"1:0-4": 0.5})
    assert wider.columns == ("macs", "params", "top1", "loss", "latency_ms@8")
    assert wider.column("loss") == [None, 0.5, None]
    assert table.columns == ("macs", "params", "top1")
    with pytest.raises(TableError, match=r"no column 'top5'; it has macs, params, top1"):
        table.column("top5")
    with pytest.raises(TableError, match="does not have: 7:0-4"):
        table.with_column("loss", {"7:0-4": 1.0})


def test_merge_lays_one_table_over_another(table: StitchTable) -> None:
    scores = StitchTable([StitchRow(2, "0:0-2,1:2-4", {"top1": 75.0, "macs": 26})], {"images": 100})
    merged = table.merge(scores)
    assert merged[2].values == {"macs": 26, "params": 3, "top1": 75.0}
    assert merged[1].values == table[1].values
    assert merged.meta == {"anchors": ["small", "large"], "images": 100}
    with pytest.raises(TableError, match="different spaces"):
        table.merge(StitchTable([StitchRow(1, "0:0-4", {})]))


def test_anchors_and_stitched(table: StitchTable) -> None:
    assert [row.index for row in table.anchors] == [0, 1]
    assert [row.index for row in table.stitched] == [2]


def test_a_stitch_stands_once(table: StitchTable) -> None:
    with pytest.raises(TableError, match="1 are repeated"):
        StitchTable([*table.rows, table.rows[0]])


def test_pandas(table: StitchTable) -> None:
    frame = table.to_pandas()
    assert list(frame.columns) == ["index", "stitch", "macs", "params", "top1"]
    assert frame.macs.tolist() == [10, 40, 25]


def test_rows_copy_and_pickle(table: StitchTable) -> None:
    row = table.rows[1]
    assert copy.deepcopy(row) == pickle.loads(pickle.dumps(row)) == row


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a stitch table"),
        ("{not json", "line 1, is damaged, it is not JSON"),
        ('{"format": "snnet-table", "version": 9}\n', "has table version 9; this snnet reads up to 1"),
        ('{"format": "snnet-table", "version": 1}\n{"index": 0}\n', "line 2, is damaged: stitch: missing"),
        (
            '{"format": "snnet-table", "version": 1}\n{"index": 0, "stitch": "zero"}\n',
            "line 2, is damaged: stitch: 'zero' is not a stitch",
        ),
        ("[1, 2]", "is not a stitch table"),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        StitchTable.load(path)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="There is no table at"):
        StitchTable.load(tmp_path / "none.jsonl")


def test_published_tables_load(reference_dir: Path) -> None:
    table = StitchTable.load(reference_dir / "deit_ti_s_b.json")
    published = json.loads((reference_dir / "deit_ti_s_b.json").read_text())
    assert len(table) == 71
    assert table.meta["anchors"] == published["anchors"]
    assert table[70].top1 == published["stitches"][70]["top1"]


def shown(count: int, **values: float) -> StitchTable:
    return StitchTable([StitchRow(n, f"0:0-{n + 1}", {"macs": 1.26e9 + n, **values}) for n in range(count)])


def test_a_table_shows_its_head_with_units() -> None:
    lines = repr(shown(9, top1=72.1, **{"latency_ms@8": 3.5})).splitlines()
    assert lines[:3] == [
        "StitchTable: 9 stitches",
        "#  stitch    MACs  top-1 %   ms@8",
        "0  0:0-1   1.26 G    72.10  3.500",
    ]
    assert len(lines) == 11 and lines[-1] == "... and 1 more"
    facts = {"profile": {"machine": {"cpu": "Here", "cores": 4}, "engine": "eager", "threads": 2}}
    assert "StitchTable: 1 stitch, measured on Here, 4 cores: eager" in repr(StitchTable(shown(1), facts))
    assert repr(StitchTable([])) == "StitchTable: 0 stitches\n#  stitch"


def test_a_table_in_a_notebook() -> None:
    found = shown(60, **{"<b>": 1.0})._repr_html_()
    assert found.count("<tr>") == 51 and "StitchTable: 60 stitches, the first 50" in found
    assert "&lt;b&gt;" in found and "<b>" not in found and "1.26 G" in found


def test_a_row_is_short() -> None:
    row = StitchRow(17, "0:0-5,1:6-12", {"macs": 2_163_456_000, "top1": 76.5})
    assert repr(row) == "StitchRow(17, '0:0-5,1:6-12', macs 2.16 G, top1 76.50)"
    assert repr(StitchRow(0, "0:0-1")) == "StitchRow(0, '0:0-1')"
