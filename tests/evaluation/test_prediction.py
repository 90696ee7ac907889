from statistics import fmean

import numpy as np
import pytest

from snnet.errors import TableError
from snnet.evaluation import predict_scores
from snnet.evaluation.prediction import route_features
from snnet.space import Stitch, StitchSpace
from snnet.table import StitchRow, StitchTable, gap_to_lines, is_predicted


def only(table, stitches):
    rows = (row if row.stitch in stitches else StitchRow(row.index, row.stitch, {"macs": row.macs}) for row in table)
    return StitchTable(rows, table.meta)


def reveal(table, count):
    """Measure what the prediction asks for, one after another."""
    known = {row.stitch for row in table.anchors}
    while len(known) < count:
        known.add(predict_scores(only(table, known)).next[0])
    return predict_scores(only(table, known))


def mean_error(found, table):
    return fmean(abs(row.top1 - table[row.stitch].top1) for row in found.table if is_predicted(row))


@pytest.mark.parametrize("name", ["deit_ti_s_b", "swin_ti_s_b"])
def test_a_quarter_of_a_published_curve_says_the_rest(reference_dir, name):
    table = StitchTable.load(reference_dir / f"{name}.json")
    found = reveal(table, len(table) // 4)
    assert found.measured == len(table) // 4 and found.predicted == len(table) - found.measured
    off = mean_error(found, table)
    assert off < 0.3
    # Half as good as the lines between the anchors are, and not far from what was expected.
    assert off < 0.6 * fmean(map(abs, gap_to_lines(table, table).values()))
    assert 0.5 < off / found.error < 2.0


def rising(count=12):
    rows = [
        StitchRow(0, f"0:0-{count}", {"macs": 1e6, "top1": 70.0}),
        StitchRow(1, f"1:0-{count}", {"macs": 2e6, "top1": 80.0}),
    ]
    for cut in range(1, count):
        macs = 2e6 - 1e6 * cut / count
        values = {"macs": macs, "top1": 70 + (macs - 1e6) / 1e5 - 2 - cut / count}
        rows.append(StitchRow(cut + 1, f"0:0-{cut},1:{cut}-{count}", values))
    return StitchTable(rows)


def test_a_smooth_curve_is_found_from_few_points_and_measured_scores_stay():
    table = rising()
    found = reveal(table, 5)
    assert mean_error(found, table) < 0.1
    for row in found.table:
        if is_predicted(row):
            assert row.top1_error > 0
        else:
            assert row.top1 == table[row.stitch].top1
    assert found.table.meta["prediction"]["measured"] == 5
    assert found.work == pytest.approx(5 / len(table))


def test_predictions_in_the_table_are_made_anew():
    table = rising()
    once = predict_scores(only(table, {"0:0-12", "1:0-12", "0:0-3,1:3-12"}))
    again = predict_scores(once.table)
    assert again.table.rows == once.table.rows
    complete = predict_scores(table)
    assert complete.table.rows == table.rows and complete.error == 0 and not complete.next
    assert "prediction" not in complete.table.meta


def test_what_is_missing_is_said():
    table = rising()
    with pytest.raises(TableError, match="has no column 'macs'"):
        predict_scores(table.without("macs"))
    with pytest.raises(TableError, match="for anchor 1; measure it first"):
        predict_scores(only(table, {"0:0-12"}))
    rows = [row if row.index != 5 else StitchRow(5, row.stitch, {}) for row in table]
    with pytest.raises(TableError, match=r"0:0-4,1:4-12 has no MACs"):
        predict_scores(StitchTable(rows))


def test_it_shows_what_was_measured_and_the_table():
    found = predict_scores(only(rising(), {"0:0-12", "1:0-12"}))
    first, second = repr(found).splitlines()[:2]
    assert first.startswith("PredictedScores(2 measured, ") and " predicted to " in first
    assert second.startswith("StitchTable: ") and "± top-1 %" in found._repr_html_()


def test_neighbors_are_near_and_every_stitch_is_told_apart():
    space = StitchSpace.build([[12], [12], [12]])
    points = route_features(list(space), [12, 12, 12])
    stitched = points[3:]
    assert len(np.unique(stitched.round(9), axis=0)) == len(space) - 3
    ids = [str(stitch) for stitch in space]

    def apart(a, b):
        return np.linalg.norm(points[ids.index(a)] - points[ids.index(b)])

    assert apart("0:0-5,1:5-12", "0:0-6,1:6-12") < apart("0:0-5,1:5-12", "0:0-11,1:11-12")
    assert apart("0:0-5,1:5-12", "0:0-6,1:6-12") < apart("0:0-5,1:5-12", "0:0-6,1:5-12")
    assert apart("0:0-5,1:5-12", "0:0-6,1:6-12") < apart("0:0-5,1:5-12", "1:0-5,2:5-12")


def test_what_never_varies_is_left_out():
    routes = [Stitch(text) for text in ("0:0-4", "1:0-4", "0:0-1,1:1-4", "0:0-2,1:2-4")]
    assert route_features(routes, [4, 4]).shape == (4, 1)
    assert route_features(routes[:2], [4, 4]).shape == (2, 1)


@pytest.mark.parametrize("anchors", [1, 2])
def test_scores_of_skips_and_of_routes_that_come_back_are_predicted(anchors):
    alone = [Stitch("0:0-9"), Stitch("1:0-9")][:anchors]
    last = anchors - 1
    skips = [f"0:0-{i},{last}:{k}-9" for i in range(1, 7) for k in range(i + 1, 9)]
    same = [f"{last}:0-1,0:3-5,0:7-9", f"{last}:0-2,0:4-5,0:6-9", f"{last}:0-2,0:3-4,0:7-9"]
    routes = [*alone, *map(Stitch, [*skips, *same])]
    truth = {s.id: 80.0 + 5 * s.anchors[-1] - 3 * (9 - sum(map(len, s.segments))) for s in routes}
    macs = {s.id: float(sum((1 + 2 * part.anchor) * len(part) for part in s.segments)) for s in routes}
    seen = {s.id for n, s in enumerate(routes) if s.is_anchor or n % 3 == 0 or s.id in same}
    rows = [
        StitchRow(n, s.id, {"macs": macs[s.id], **({"top1": truth[s.id]} if s.id in seen else {})})
        for n, s in enumerate(routes)
    ]
    found = predict_scores(StitchTable(rows))
    assert found.measured == len(seen) and found.predicted == len(routes) - len(seen)
    errors = [abs(row.top1 - truth[row.stitch]) for row in found.table if row.stitch not in seen]
    middle = fmean(truth[one] for one in seen)
    assert fmean(errors) < 0.4 * fmean(abs(truth[s.id] - middle) for s in routes if s.id not in seen)
    assert all(row.values["top1_error"] > 0 for row in found.table if row.stitch not in seen)


def test_the_score_is_the_one_that_the_table_is_chosen_by():
    table = rising()
    known = only(table, {table[0].stitch, table[1].stitch, table[5].stitch})
    renamed = StitchTable(
        [StitchRow(r.index, r.stitch, {n.replace("top1", "miou"): v for n, v in r.values.items()}) for r in known],
        {"score": "miou"},
    )
    found, expected = predict_scores(renamed).table, predict_scores(known).table
    assert [row.values["miou"] for row in found] == [row.top1 for row in expected]
    assert is_predicted(found[7], "miou")
    with pytest.raises(TableError, match="points of percent, and 'rmse' is not in percent"):
        predict_scores(StitchTable(known, {"score": "rmse"}))
