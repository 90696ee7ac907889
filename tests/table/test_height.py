import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.errors import TableError
from snnet.table import (
    Gain,
    Hits,
    StitchRow,
    StitchTable,
    frontier_gain,
    frontier_height,
    gain_if_known,
    knowing_before,
    select,
)

Rows = list[tuple[str, float, list[bool]]]


def made(rows: Rows) -> tuple[StitchTable, Hits]:
    hits = Hits.of({stitch: row for stitch, _, row in rows})
    return StitchTable([StitchRow(n, stitch, {"macs": at}) for n, (stitch, at, _) in enumerate(rows)]), hits


def noise(draw: random.Random, images: int, rate: float = 0.5) -> list[bool]:
    return [draw.random() < rate for _ in range(images)]


@st.composite
def families(draw: st.DrawFn) -> Rows:
    """Two anchors and some stitches, with many ties in cost and score."""
    images = draw(st.integers(4, 17))
    answers = st.lists(st.booleans(), min_size=images, max_size=images)
    others = draw(st.lists(st.tuples(st.integers(1, 12), answers), max_size=6))
    anchors: Rows = [("0:0-4", 3, draw(answers)), ("1:0-4", 9, draw(answers))]
    return anchors + [(f"0:0-{n + 1},1:{n}-99", at, row) for n, (at, row) in enumerate(others)]


def by_loops(rows: Rows, candidates: Rows, folds: int) -> list[float]:
    """Return what each image reports, slowly, as the words say it: for each budget the best of those that fit."""
    images = range(len(rows[0][2]))
    anchors = [at for stitch, at, _ in rows if "," not in stitch]
    low, high = min(anchors), max(anchors)
    reported = []
    for image in images:
        choosing = [other for other in images if other % folds != image % folds]
        right = 0
        for step in range(200):
            fits = [row for row in candidates if row[1] * 199 <= low * 199 + (high - low) * step]
            best = min(fits, key=lambda row: (-sum(row[2][other] for other in choosing), row[1]))
            right += best[2][image]
        reported.append(right / 200)
    return reported


@settings(max_examples=25)
@given(rows=families(), folds=st.integers(2, 4))
def test_heights_and_gain_equal_loops_over_images_and_budgets(rows: Rows, folds: int) -> None:
    table, hits = made(rows)
    gain = frontier_gain(table, hits, folds=folds)
    ours, alone = by_loops(rows, rows, folds), by_loops(rows, rows[:2], folds)
    difference = [one - other for one, other in zip(ours, alone, strict=True)]
    for found, expected in ((gain.frontier, ours), (gain.anchors, alone)):
        assert found.percent == pytest.approx(100 * statistics.fmean(expected))
        error = statistics.stdev(expected) / math.sqrt(len(expected))
        assert found.standard_error == pytest.approx(100 * error, abs=1e-9)
        assert (found.folds, found.images, found.low, found.high, found.cost) == (folds, hits.images, 3, 9, "macs")
    assert gain.points == pytest.approx(100 * statistics.fmean(difference), abs=1e-9)
    error = statistics.stdev(difference) / math.sqrt(len(difference))
    assert gain.standard_error == pytest.approx(100 * error, abs=1e-9)
    assert gain.frontier == frontier_height(table, hits, folds=folds)
    assert gain.anchors == frontier_height(table.anchors, hits, folds=folds)


@given(rows=families())
def test_anchors_alone_gain_nothing(rows: Rows) -> None:
    table, hits = made(rows[:2])
    gain = frontier_gain(table, hits)
    assert (gain.points, gain.standard_error) == (0, 0) and gain.frontier == gain.anchors


@given(rows=families(), data=st.data())
def test_a_dominated_stitch_changes_nothing(rows: Rows, data: st.DataObject) -> None:
    table, hits = made(rows)
    _, at, better = data.draw(st.sampled_from(rows))
    keep = data.draw(st.lists(st.booleans(), min_size=len(better), max_size=len(better)))
    worse = [one and kept for one, kept in zip(better, keep, strict=True)]
    more = at + data.draw(st.integers(1, 3))
    assert frontier_gain(*made([*rows, ("0:0-50,1:50-99", more, worse)])) == frontier_gain(table, hits)


def test_without_noise_it_is_the_mean_over_budgets_of_what_is_selected() -> None:
    rows: Rows = [("0:0-4", 100, [n % 20 < 10 for n in range(200)]), ("1:0-4", 500, [n % 20 < 16 for n in range(200)])]
    rows.append(("0:0-2,1:2-4", 230, [n % 20 < 14 for n in range(200)]))
    table, hits = made(rows)
    table = table.with_column("top1", {stitch: hits.score(stitch) for stitch, _, _ in rows})
    budgets = [100 + 400 * step / 199 for step in range(200)]
    chosen = statistics.fmean(table[select(table, macs=budget)].top1 for budget in budgets)
    assert frontier_height(table, hits).percent == pytest.approx(chosen)
    assert frontier_height(table, hits, between=(500, 600)).percent == pytest.approx(80)
    assert frontier_height(table.stitched, hits, between=(230, 300)).percent == pytest.approx(70)


@pytest.mark.parametrize("folds", [2, 5])
def test_of_noise_the_best_of_many_is_no_better_than_one(folds: int) -> None:
    """On the images that choose, the best of 60 coins looks 6 standard errors better than it is."""
    draw, images = random.Random(0), 400
    found, naive = [], []
    for _ in range(60):
        rows: Rows = [("0:0-4", 1, noise(draw, images)), ("1:0-4", 2, noise(draw, images))]
        rows += [(f"0:0-{n + 1},1:{n}-99", 1, noise(draw, images)) for n in range(60)]
        table, hits = made(rows)
        found.append(frontier_height(table, hits, folds=folds))
        naive.append(max(hits.score(stitch) for stitch, _, _ in rows))
    mean = statistics.fmean(height.percent for height in found)
    error = statistics.stdev(height.percent for height in found)
    assert abs(mean - 50) < 4 * error / math.sqrt(60)
    assert statistics.fmean(naive) > 50 + 5


def test_a_gain_is_told_in_a_sentence() -> None:
    images = range(4000)
    rows: Rows = [("0:0-4", 1, [n % 100 < 80 for n in images]), ("1:0-4", 3, [n % 100 < 90 for n in images])]
    gain = frontier_gain(*made([*rows, ("0:0-2,1:2-4", 1, [n % 100 < 85 for n in images])]))
    assert str(gain) == (
        "Gain over keeping the anchors: +4.97 ± 0.34 points (frontier 85.03 %, anchors alone 80.05 %; chosen on half "
        "of the 4,000 images, reported on the other)"
    )
    worse = frontier_gain(*made([*rows, ("0:0-2,1:2-4", 1, [False for _ in images])]), folds=5)
    assert "anchors: +0.00 ± 0.00 points" in str(worse) and "chosen on 4 of 5 parts of the" in str(worse)


def test_anchors_as_they_came_can_be_kept_too() -> None:
    """What training took from an anchor is no gain of the stitches; what it gave to one that knew nothing is."""
    images = range(100)
    rows: Rows = [("0:0-4", 1, [n % 10 < 6 for n in images]), ("1:0-4", 2, [n % 10 < 6 for n in images])]
    table, hits = made(rows)
    assert frontier_gain(table, hits).points == 0
    came = Hits.of({"0:0-4": [n % 10 < 8 for n in images], "1:0-4": [False for _ in images]})
    gain = frontier_gain(table, hits.with_before(came))
    assert gain.points == pytest.approx(-20) and gain.anchors.percent == pytest.approx(80)
    assert str(gain).startswith("Gain over keeping the anchors: -20.00 ± 4.02 points: the anchors alone are better (")
    assert frontier_height(table, hits.with_before(came)).percent == pytest.approx(60)


def test_costs_of_which_more_is_better_run_the_other_way() -> None:
    rows: Rows = [("0:0-4", 1, [True, False] * 4), ("1:0-4", 3, [True] * 8)]
    table, hits = made(rows)
    fast = table.with_column("throughput", {"0:0-4": 300, "1:0-4": 100})
    found = frontier_height(fast, hits, cost="throughput")
    assert (found.low, found.high) == (100, 300) and found.percent == frontier_height(table, hits).percent


def test_one_anchor_alone_has_budgets_from_half_of_its_cost() -> None:
    """The anchor is right on 80 of 100 images; from 1/2 to 3/4 of its cost a skip is on 60, from there one on 90."""
    images = range(100)
    rows: Rows = [("0:0-4", 400, [n % 10 < 8 for n in images]), ("0:0-1,0:3-4", 100, [n % 10 < 6 for n in images])]
    table, hits = made([*rows, ("0:0-1,0:2-4", 300, [n % 10 < 9 for n in images])])
    gain = frontier_gain(table, hits)
    assert (gain.frontier.low, gain.frontier.high) == (gain.anchors.low, gain.anchors.high) == (200, 400)
    assert gain.anchors.percent == pytest.approx(80) and gain.frontier.percent == pytest.approx(75)
    assert gain.frontier == frontier_height(table, hits) and gain.points == pytest.approx(-5)
    assert str(gain) == (
        f"At 50 to 100 % of the anchor's cost, against all of the anchor: -5.00 ± {gain.standard_error:.2f} points "
        "(frontier 75.00 %, anchor 80.00 %; chosen on half of the 100 images, reported on the other)"
    )
    came = hits.with_before(Hits.of({"0:0-4": [True for _ in images]}))
    assert frontier_gain(table, came).points == pytest.approx(-25)


@pytest.mark.parametrize(("cheapest", "low"), [(300, 300), (100, 200), (500, 400)])
def test_budgets_of_one_anchor_lie_where_there_are_routes(cheapest: float, low: float) -> None:
    table, hits = made([("0:0-4", 400, [True, False] * 4), ("0:0-1,0:3-4", cheapest, [True] * 8)])
    gain = frontier_gain(table, hits)
    assert (gain.frontier.low, gain.frontier.high, gain.at_any_budget) == (low, 400, low < 400)
    assert gain.points == pytest.approx(50 if cheapest <= 400 else 0)
    assert str(gain).startswith("At " if low < 400 else "Gain over keeping the anchors: +0.00")


def test_of_throughput_half_the_cost_is_twice_as_much() -> None:
    table, hits = made([("0:0-4", 400, [True, False] * 4), ("0:0-1,0:3-4", 100, [True] * 8)])
    fast = table.with_column("throughput", {"0:0-4": 100, "0:0-1,0:3-4": 400})
    gain = frontier_gain(fast, hits, cost="throughput")
    assert (gain.frontier.low, gain.frontier.high) == (100, 200) and gain.points == pytest.approx(50)
    assert str(gain).startswith("At 50 to 100 % of the anchor's cost")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda table: table, {"hits": None}, "no hits of single images.*snnet evaluate"),
        (lambda table: table, {"folds": 1}, "folds=1 of 8 images; give 2 or more"),
        (lambda table: table, {"folds": 9}, "folds=9 of 8 images"),
        (lambda table: table, {"cost": "params"}, "has no column 'params'"),
        (lambda table: table, {"between": (0, 9)}, "keeps the smallest budget"),
        (lambda table: table.stitched, {}, "has no anchors, between whose costs"),
        (lambda table: table.with_column("macs", {"0:0-4": math.nan}), {}, "Anchor 0:0-4 has no hits or no cost"),
    ],
)
def test_what_has_no_height_is_said(change: object, options: dict[str, object], message: str) -> None:
    rows: Rows = [("0:0-4", 1, [True] * 8), ("1:0-4", 3, [True] * 8), ("0:0-2,1:2-4", 2, [True] * 8)]
    table, hits = made(rows)
    with pytest.raises(TableError, match=message):
        frontier_height(change(table), **{"hits": hits, **options})  # type: ignore[operator,arg-type]


def test_a_gain_is_told_where_it_is_known_and_counts_what_it_leaves_out() -> None:
    rows: Rows = [("0:0-4", 1, [True, False] * 4), ("1:0-4", 3, [True] * 8), ("0:0-2,1:2-4", 2, [True] * 8)]
    costs, hits = made(rows)
    scores = {stitch: hits.score(stitch) for stitch, _, _ in rows}
    table = StitchTable(list(costs.with_column("top1", scores)), {}, hits)
    gain = gain_if_known(table)
    assert gain == frontier_gain(table) and gain.left_out == 0 and "left out" not in str(gain)
    guessed = StitchTable([*table, StitchRow(3, "0:0-1,1:1-4", {"macs": 2, "top1": 99.0})], {}, hits)
    assert gain_if_known(guessed).points == gain.points
    assert str(gain_if_known(guessed)).endswith("reported on the other; 1 stitch without hits left out)")
    for other in (costs, table.anchors, table.stitched, table.without("macs"), StitchTable(list(table))):
        assert gain_if_known(other) is None


def test_what_is_nearly_nothing_is_not_minus_nothing() -> None:
    height = frontier_height(*made([("0:0-4", 1, [True] * 8)]))
    assert "anchors: +0.00 ± 0.00 points (" in str(Gain(-0.001, 0.002, height, height))


def test_a_table_learns_how_its_anchors_were() -> None:
    rows: Rows = [("0:0-4", 1, [True, False] * 4), ("1:0-4", 3, [True] * 8)]
    costs, hits = made(rows)
    table = StitchTable(list(costs.with_column("top1", {"0:0-4": 50.0, "1:0-4": 100.0})), {}, hits)
    assert knowing_before(table, table).hits.before == hits.bits
    assert knowing_before(costs, table) is costs and knowing_before(table, costs).hits == table.hits
