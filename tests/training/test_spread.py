"""What runs end with in one, two and three processes."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed import fork, torchrun
from tests.training import spread
from tests.training.spread import assert_equal

Found = dict[str, Any]

counts = pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
"""Batches do not divide evenly in either. Two are forked, three started by torchrun."""


class Runs:
    """The runs in so many processes, each begun when it is first asked for."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        self.directories = directories

    @cache  # noqa: B019 (as long as the module's tests)
    def directory(self, count: int) -> Path:
        directory = self.directories.mktemp(f"in{count}")
        if count == 2:
            processes = fork(count, partial(spread.run_all, directory), directory / "told.txt")
            for process in processes:
                process.join(600)
            assert [process.exitcode for process in processes] == [0, 0], (directory / "told.txt").read_text()
        else:
            launcher = torchrun(count, "tests.training.spread", directory)
            _, told = launcher.communicate(timeout=600)
            assert launcher.returncode == 0, told
        return directory

    @cache  # noqa: B019
    def found(self, count: int) -> Found:
        loaded: Found = torch.load(self.directory(count) / "found.pt", weights_only=True)
        return loaded


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory)


@pytest.fixture(scope="module")
def alone() -> Found:
    torch.set_num_threads(1)
    return spread.finish(spread.trainer(spread.build_net()))


@counts
def test_the_number_of_processes_changes_neither_loss_nor_weights(runs: Runs, alone: Found, count: int) -> None:
    assert runs.found(count)["same"]["agree"]
    assert_equal(alone, runs.found(count)["same"])
    assert runs.found(count)["same"]["loss"] == pytest.approx(alone["loss"], abs=1e-5)


def test_weights_moved_and_unused_ones_did_not(runs: Runs) -> None:
    before = spread.build_net()
    used = {id(p) for stitch in spread.TwoAStep(before).stitches for p in before.parameters_of(stitch)}
    moved = {n for n, p in before.named_parameters() if not torch.equal(p, runs.found(2)["same"]["net"][n])}
    assert moved == {n for n, p in before.named_parameters() if id(p) in used}


def test_sharded_weights_end_equal(runs: Runs, alone: Found) -> None:
    assert runs.found(2)["fsdp"]["agree"]
    assert_equal(alone, runs.found(2)["fsdp"])


@pytest.mark.parametrize("name", ["same", "fsdp"])
def test_checkpoints_of_several_processes_are_those_of_one(runs: Runs, alone: Found, name: str) -> None:
    net = spread.build_net()
    result = spread.trainer(net, runs.directory(2) / name).fit(resume=True)
    assert result.steps == spread.STEPS and result.averaged is not None
    assert_equal(alone, {"net": net.state_dict(), "ema": result.averaged.state_dict()})


def test_running_statistics_agree(runs: Runs) -> None:
    assert runs.found(2)["own norms"]["agree"]


def test_nan_in_one_process_stops_all_with_one_message(runs: Runs) -> None:
    first, second = runs.found(2)["nan"]
    assert first == second and "loss is nan at step 2, in stitch 0:0-2" in first


@counts
def test_evaluation_counts_each_image_once(runs: Runs, tmp_path: Path, count: int) -> None:
    expected, several = spread.evaluation(tmp_path), runs.found(count)["evaluation"]
    assert several["images"] == 50 and several["evaluation"] == expected["evaluation"]
    for name in ("rows", "other"):
        for one, other in zip(expected[name], several[name], strict=True):
            assert other == pytest.approx(one, abs=1e-6)
    assert several["bits"] == expected["bits"] and len(several["bits"][0]) == 3


@counts
def test_each_call_joins_and_parts_again(runs: Runs, count: int) -> None:
    for rows in runs.found(count)["apart"]:
        for row, expected in zip(rows, runs.found(count)["evaluation"]["rows"], strict=True):
            assert row == pytest.approx(expected, abs=1e-6)


def test_the_record_of_several_processes_is_resumed_by_one(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    net = spread.build_net()
    monkeypatch.setattr(net, "run_step", lambda *_: pytest.fail("a stitch was run again"))
    table = spread.evaluate(net, spread.images(), stitches=range(3), output=runs.directory(2) / "table.jsonl")
    assert [dict(row.values) for row in table] == runs.found(2)["evaluation"]["rows"]


def test_data_in_another_order_in_each_process_is_refused(runs: Runs) -> None:
    assert all("another order in each process" in message for message in runs.found(2)["shuffled"])
