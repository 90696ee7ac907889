import pytest
import torch

from snnet.errors import DataError, TableError
from snnet.evaluation import evaluate, evaluate_some
from snnet.profiling import count_costs
from snnet.table import StitchTable, is_predicted, select, without_predictions


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(48, 1, 28, 28, generator=generator), torch.randint(10, (48,), generator=generator)


@pytest.fixture
def net(tiny_net):
    count_costs(tiny_net)
    return tiny_net


def measured(table):
    return {row.stitch: row.top1 for row in table if not is_predicted(row)}


def test_measured_scores_are_those_of_evaluate_and_the_rest_have_error_bars(net, data, tmp_path):
    found = evaluate_some(net, data, batch_size=16, at_most=5, error=0.0, output=tmp_path / "table.jsonl")
    assert found.measured == 5
    assert {row.stitch for row in found.table} == {stitch.id for stitch in net.space}
    assert {row.stitch for row in found.table.anchors} <= set(measured(found.table))
    assert all(row.top1_error > 0 and "loss" not in row.values for row in found.table if is_predicted(row))
    assert StitchTable.load(tmp_path / "table.jsonl").rows == found.table.rows
    net.table = None
    truth = evaluate(net, data, batch_size=16)
    for stitch, top1 in measured(found.table).items():
        assert top1 == truth[stitch].top1 and found.table[stitch].loss == pytest.approx(truth[stitch].loss)


def test_a_later_evaluation_measures_what_was_predicted(net, data, tmp_path):
    output = tmp_path / "table.jsonl"
    found = evaluate_some(net, data, at_most=0, output=output)
    ran = []
    table = evaluate(net, data, output=output, progress=lambda done, total, note: ran.append(note))
    assert ran[0].startswith(f"{found.measured} of {len(net.space)} stitches were evaluated before")
    assert not any(is_predicted(row) for row in table)
    assert "top1_error" not in table.columns and "prediction" not in table.meta
    assert all("loss" in row.values for row in table)


def test_predicting_again_takes_up_what_was_measured(net, data, tmp_path):
    output = tmp_path / "table.jsonl"
    evaluate(net, data, stitches=[4, 7], output=output)
    net.table = None
    count_costs(net)
    found = evaluate_some(net, data, at_most=0, output=output)
    assert found.measured == len(net.anchors) + 2


def test_it_stops_when_the_error_is_small_or_the_number_is_reached(net, data):
    assert evaluate_some(net, data, error=100.0).measured == len(net.anchors)
    net.forget_scores()
    everything = evaluate_some(net, data, error=0.0, at_most=1.0)
    assert everything.predicted == 0 and everything.error == 0.0
    assert not any(is_predicted(row) for row in everything.table)


def test_all_images_leave_nothing_to_guess(net, data):
    found = evaluate_some(net, data, sample=1.0, at_most=0)
    net.forget_scores()
    truth = evaluate(net, data)
    for row in found.table:
        assert row.top1 == pytest.approx(truth[row.stitch].top1, abs=0.1)


def test_the_curve_alone_needs_no_sample(net, data):
    found = evaluate_some(net, data, sample=0, at_most=4, error=0.0)
    assert found.measured == 4 and found.work == pytest.approx(4 / len(net.space))


def test_choices_can_use_or_ignore_predictions(net, data):
    table = evaluate_some(net, data, at_most=0).table
    assert select(without_predictions(table)).is_anchor
    assert without_predictions(table).columns.count("top1_error") == 0


@pytest.mark.parametrize("options", [{"error": -1}, {"at_most": float("nan")}, {"sample": 1.5}, {"sample": -0.1}])
def test_numbers_out_of_range_are_refused(net, data, options):
    with pytest.raises(DataError, match=next(iter(options))):
        evaluate_some(net, data, **options)


def test_missing_costs_are_said_before_anything_runs(tiny_net, data):
    with pytest.raises(TableError, match=r"stitches have no MACs; `snnet.profile\(net\)`"):
        evaluate_some(tiny_net, data)
