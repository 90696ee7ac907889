import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from snnet.errors import TableError
from snnet.table import (
    Hits,
    StitchRow,
    StitchTable,
    hits_file,
    pareto_frontier,
    without_predictions,
    without_profile,
    without_scores,
)

FACTS = {"network": "ab", "precision": "fp32", "data": {"images": 10, "labels": "cd", "pixels": "ef"}}
ROWS = {"0:0-4": [1, 1, 0, 0, 1, 0, 0, 1, 0, 1], "1:0-4": [1] * 9 + [0], "0:0-2,1:2-4": [0] * 10}


def made_hits(rows: dict[str, list[int]] = ROWS, **others: object) -> Hits:
    made = Hits.of(rows)
    return Hits(made.images, made.bits, **{"facts": FACTS, **others})


def made_table(hits: Hits | None = None) -> StitchTable:
    found = made_hits() if hits is None else hits
    rows = [StitchRow(n, stitch, {"macs": n + 1, "top1": found.score(stitch)}) for n, stitch in enumerate(found.bits)]
    return StitchTable(rows, {"evaluation": found.facts}, found)


@given(rows=st.integers(1, 70).flatmap(lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1)))
def test_bits_are_the_booleans_in_their_order(rows: list[list[bool]]) -> None:
    hits = Hits.of({str(number): row for number, row in enumerate(rows)})
    assert (len(hits), hits.images) == (len(rows), len(rows[0]))
    for number, row in enumerate(rows):
        assert [bool(hits.bits[str(number)] >> place & 1) for place in range(len(row))] == row
        assert hits.score(str(number)) == 100 * sum(row) / len(row)


@pytest.mark.parametrize("rows", [{}, {"0:0-4": []}, {"0:0-4": [1], "1:0-4": [1, 0]}])
def test_stitches_of_other_images_make_no_hits(rows: dict[str, list[int]]) -> None:
    with pytest.raises(TableError, match="Hits are for the same images, one or more"):
        Hits.of(rows)


@pytest.mark.parametrize("bits", [-1, 8])
def test_bits_beyond_the_images_are_refused(bits: int) -> None:
    with pytest.raises(TableError, match="0:0-4 are not those of 3 images"):
        Hits(3, {"0:0-4": bits})


def test_the_file_is_one_that_safetensors_reads(tmp_path: Path) -> None:
    hits = made_hits(before={"0:0-4": 5})
    path = hits.save(tmp_path / "table.hits.safetensors")
    assert Hits.load(path) == hits
    found = load_file(path)
    assert list(np.unpackbits(found["1:0-4"], bitorder="little")[:10]) == ROWS["1:0-4"]
    with safe_open(path, framework="np") as file:
        assert file.metadata()["images"] == "10"


def test_a_thousand_stitches_take_a_bit_an_image(tmp_path: Path) -> None:
    hits = Hits(8000, {f"0:0-{n + 1}": random.Random(n).getrandbits(8000) for n in range(71)})
    assert hits.save(tmp_path / "hits").stat().st_size < 71 * (1000 + 80) + 500


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_is_found(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = made_hits().save(tmp_path / "x.hits.safetensors")
    content = bytearray(path.read_bytes())
    if seed % 4 == 0:
        content = content[: draw.randrange(len(content))]
    elif seed % 4 == 1:
        content += draw.randbytes(3)
    else:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"x\.hits.safetensors is damaged or holds no hits.*remove this one"):
        Hits.load(path)


def test_a_later_version_is_named(tmp_path: Path) -> None:
    path = made_hits().save(tmp_path / "hits")
    path.write_bytes(path.read_bytes().replace(b'"version": "1"', b'"version": "2"'))
    with pytest.raises(TableError, match="has hits of version 2; this snnet reads up to 1: update"):
        Hits.load(path)
    with pytest.raises(TableError, match="nothing cannot be read as hits"):
        Hits.load(tmp_path / "nothing")


def test_hits_lie_beside_the_table_and_go_with_it(tmp_path: Path) -> None:
    table, path = made_table(), tmp_path / "table.jsonl"
    table.save(path)
    assert StitchTable.load(path).hits == table.hits == made_hits()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.hits.safetensors", "table.jsonl"]
    text = path.read_text()
    StitchTable(list(table), table.meta).save(path)
    assert path.read_text() == text, "the rows know nothing of hits"
    assert list(tmp_path.iterdir()) == [path], "hits without a table that they belong to are gone"


def test_a_table_whose_hits_are_damaged_is_refused(tmp_path: Path) -> None:
    path = made_table().save(tmp_path / "table.jsonl")
    hits_file(path).write_bytes(b"")
    with pytest.raises(TableError, match=r"table\.hits.safetensors is damaged"):
        StitchTable.load(path)


def test_hits_follow_the_rows_and_leave_with_their_scores() -> None:
    table = made_table()
    assert set(table.anchors.hits.bits) == {"0:0-4", "1:0-4"}
    more = table.with_column("params", {})
    for same in (without_predictions(table), without_profile(table), more, table.merge(table)):
        assert same.hits == table.hits
    assert set(pareto_frontier(table).hits.bits) == {"0:0-4", "1:0-4"}
    assert without_scores(table).hits is None
    assert set(table.with_column("top1", {"0:0-4": 51.0}).hits.bits) == {"1:0-4", "0:0-2,1:2-4"}
    assert StitchTable(list(table), {"evaluation": {**FACTS, "network": "other"}}, table.hits).hits is None
    assert StitchTable(list(table), table.meta).hits is None


def test_merging_adds_rows_of_the_same_facts_and_prefers_the_later_ones() -> None:
    table = made_table()
    one, rest = (table.where(lambda row, at=at: (row.index == 0) == at) for at in (True, False))
    bare = StitchTable([StitchRow(row.index, row.stitch, {"macs": 1}) for row in table])
    assert bare.merge(one).merge(rest).hits == table.hits
    others = made_hits({"0:0-4": [0] * 10}, facts={**FACTS, "data": {"images": 10, "pixels": "other"}})
    merged = table.merge(made_table(others))
    assert set(merged.hits.bits) == {"0:0-4"} and merged.hits.score("0:0-4") == 0


def test_anchors_as_they_came_are_taken_over_for_the_same_images_alone() -> None:
    hits = made_hits()
    anchors = made_hits({"0:0-4": [1] * 10}, facts={**FACTS, "network": "untrained"})
    assert hits.with_before(anchors).before == {"0:0-4": 2**10 - 1}
    assert hits.with_before(None) == hits
    elsewhere = made_hits({"0:0-4": [1] * 10}, facts={**FACTS, "data": {"images": 10, "pixels": "other"}})
    assert hits.with_before(elsewhere) == hits
