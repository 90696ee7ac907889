"""Evaluation of networks that end in maps: segmentation and depth, from data to a chosen stitch."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from snnet.errors import DataError, TableError
from snnet.evaluation import evaluate, evaluate_some
from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.table import StitchTable, frontier_gain, select
from tests.helpers import dense
from tests.helpers.dense import TASKS, dense_data, dense_net, outputs_of

kinds = pytest.mark.parametrize("kind", TASKS)


@cache
def alone(kind: str) -> dict[str, dict[str, float]]:
    return dense.scores(kind)


def found(dense_together: Path, kind: str) -> Any:
    return torch.load(dense_together / "found.pt", weights_only=True)[kind]


def of_all_images(kind: str, net: SNNet, stitch: str) -> dict[str, float]:
    """Return scores by others' hands, over all images at once."""
    data = dense_data(kind)
    outputs, truth = outputs_of(net, stitch, data.images).double(), data.labels
    if kind == "segmentation":
        miou, accuracy = (
            metric(outputs, truth)
            for metric in (
                MulticlassJaccardIndex(3, ignore_index=255),
                MulticlassAccuracy(3, average="micro", ignore_index=255),
            )
        )
        return {"miou": 100 * float(miou), "pixel_accuracy": 100 * float(accuracy)}
    known = truth > 0
    depth, real = np.log1p(outputs[:, 0].exp()[known].numpy()), truth[known].double().numpy()
    return {"rmse": float(np.sqrt(((depth - real) ** 2).mean())), "absrel": float((np.abs(depth - real) / real).mean())}


@kinds
def test_two_processes_score_as_one_does_and_as_others_do_over_all_images(kind: str, dense_together: Path) -> None:
    net, several = dense_net(kind), found(dense_together, kind)["scores"]
    assert several.keys() == {stitch.id for stitch in net.space}
    for stitch, expected in alone(kind).items():
        assert several[stitch] == pytest.approx(expected, abs=1e-6)
        for name, value in of_all_images(kind, net, stitch).items():
            assert expected[name] == pytest.approx(value, abs=1e-4 if name in ("miou", "pixel_accuracy") else 1e-6)


@kinds
def test_the_record_of_two_processes_is_resumed_by_one(
    kind: str, dense_together: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = dense_net(kind)
    monkeypatch.setattr(net, "run_step", lambda *_: pytest.fail("a stitch was run again"))
    table = evaluate(net, dense_data(kind), output=dense_together / f"{kind}.jsonl")
    assert {row.stitch: dict(row.values) for row in table} == found(dense_together, kind)["scores"]


class KilledError(Exception):
    pass


@kinds
def test_a_killed_evaluation_goes_on_and_says_which_score_chooses(kind: str, tmp_path: Path) -> None:
    net, output = dense_net(kind), tmp_path / "table.jsonl"

    def killing(done: int, total: int, note: str) -> None:
        if note.endswith("done"):
            raise KilledError

    with pytest.raises(KilledError):
        evaluate(net, dense_data(kind), batch_size=7, output=output, progress=killing, max_groups=3)
    assert 0 < len(StitchTable.load(output)) < len(net.space)
    told: list[str] = []
    evaluate(net, dense_data(kind), batch_size=7, output=output, progress=lambda *said: told.append(said[2]))
    assert "were evaluated before" in told[0]
    table = StitchTable.load(output)
    assert table.score == table.meta["score"] == net.task.scores[0] and table.hits is None
    assert {row.stitch: dict(row.values) for row in table} == alone(kind)
    with pytest.raises(TableError, match="other images or labels"):
        evaluate(net, dense_data(kind, known=True), output=output)


@kinds
def test_halves_add_up_and_frontiers_are_chosen_on_one_and_reported_on_the_other(kind: str) -> None:
    net = dense_net(kind)
    count_costs(net)
    table = evaluate(net, dense_data(kind))
    first, better = net.task.scores[0], -1 if kind == "depth" else 1
    for row in table:
        halves = [row.values[f"{first}_half{half}"] for half in (0, 1)]
        # An IoU of all images need not lie between those of the halves.
        assert halves[0] != halves[1] and (kind == "segmentation" or min(halves) < row.values[first] < max(halves))
    gain = frontier_gain(table)
    assert gain.frontier.score == first and gain.anchors.score == first
    chosen = select(table, macs=max(row.macs for row in table))
    assert table[chosen].values[first] * better == max(row.values[first] * better for row in table)


def test_the_score_of_a_half_is_the_score_of_its_images() -> None:
    net, data = dense_net("segmentation"), dense_data("segmentation")
    whole = alone("segmentation")["1:0-2"]
    one = [evaluate(net, (data.images[n : n + 1], data.labels[n : n + 1]), stitches=[1])["1:0-2"] for n in range(26)]
    first = torch.tensor(["miou_half0" in row.values for row in one])
    assert 0 < first.sum() < 26
    for half, chosen in enumerate((first, ~first)):
        table = evaluate(net, (data.images[chosen], data.labels[chosen]), stitches=["1:0-2"])
        assert table["1:0-2"].values["miou"] == pytest.approx(whole[f"miou_half{half}"])


def test_scores_are_predicted_from_the_curve_alone() -> None:
    net = dense_net("segmentation")
    count_costs(net)
    with pytest.raises(DataError, match=r"Segmentation counts none; .*sample=0, --sample 0"):
        evaluate_some(net, dense_data("segmentation"))
    found = evaluate_some(net, dense_data("segmentation"), sample=0, at_most=0)
    assert found.measured == 2 and found.predicted == len(net.space) - 2 and found.table.score == "miou"
    assert all("miou_error" in row.values for row in found.table.stitched)
