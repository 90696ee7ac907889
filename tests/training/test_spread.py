"""What runs end with in one, two and three processes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed import torchrun
from tests.training import spread
from tests.training.spread import assert_equal

Found = dict[str, Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Directories of the runs in two and three processes."""
    directories = {count: tmp_path_factory.mktemp(f"in{count}") for count in (2, 3)}
    for count, directory in directories.items():
        process = torchrun(count, "tests.training.spread", directory)
        _, told = process.communicate(timeout=600)
        assert process.returncode == 0, told
    return directories


@pytest.fixture(scope="module")
def found(runs: dict[int, Path]) -> dict[int, Found]:
    return {count: torch.load(path / "found.pt", weights_only=True) for count, path in runs.items()}


@pytest.fixture(scope="module")
def alone() -> Found:
    torch.set_num_threads(1)
    return spread.finish(spread.trainer(spread.build_net()))


@pytest.mark.parametrize("count", [2, 3])
def test_the_number_of_processes_changes_neither_loss_nor_weights(
    found: dict[int, Found], alone: Found, count: int
) -> None:
    assert found[count]["same"]["agree"]
    assert_equal(alone, found[count]["same"])
    assert found[count]["same"]["loss"] == pytest.approx(alone["loss"], abs=1e-5)


def test_weights_moved_and_unused_ones_did_not(found: dict[int, Found]) -> None:
    before = spread.build_net()
    used = {id(p) for stitch in spread.TwoAStep(before).stitches for p in before.parameters_of(stitch)}
    moved = {n for n, p in before.named_parameters() if not torch.equal(p, found[3]["same"]["net"][n])}
    assert moved == {n for n, p in before.named_parameters() if id(p) in used}


def test_sharded_weights_end_equal(found: dict[int, Found], alone: Found) -> None:
    assert found[2]["fsdp"]["agree"]
    assert_equal(alone, found[2]["fsdp"])


@pytest.mark.parametrize("name", ["same", "fsdp"])
def test_checkpoints_of_several_processes_are_those_of_one(runs: dict[int, Path], alone: Found, name: str) -> None:
    net = spread.build_net()
    result = spread.trainer(net, runs[2] / name).fit(resume=True)
    assert result.steps == spread.STEPS and result.averaged is not None
    assert_equal(alone, {"net": net.state_dict(), "ema": result.averaged.state_dict()})


def test_running_statistics_agree(found: dict[int, Found]) -> None:
    assert found[2]["own norms"]["agree"]


def test_nan_in_one_process_stops_all_with_one_message(found: dict[int, Found]) -> None:
    first, second = found[2]["nan"]
    assert first == second and "loss is nan at step 2, in stitch 0:0-2" in first


@pytest.mark.parametrize("count", [2, 3])
def test_evaluation_counts_each_image_once(found: dict[int, Found], tmp_path: Path, count: int) -> None:
    expected, several = spread.evaluation(tmp_path), found[count]["evaluation"]
    assert several["images"] == 50 and several["evaluation"] == expected["evaluation"]
    for name in ("rows", "other"):
        for one, other in zip(expected[name], several[name], strict=True):
            assert other == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_each_call_joins_and_parts_again(found: dict[int, Found], count: int) -> None:
    for rows in found[count]["apart"]:
        for row, expected in zip(rows, found[count]["evaluation"]["rows"], strict=True):
            assert row == pytest.approx(expected, abs=1e-6)


def test_the_record_of_several_processes_is_resumed_by_one(
    runs: dict[int, Path], found: dict[int, Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = spread.build_net()
    monkeypatch.setattr(net, "run_step", lambda *_: pytest.fail("a stitch was run again"))
    table = spread.evaluate(net, spread.images(), stitches=range(3), output=runs[2] / "table.jsonl")
    assert [dict(row.values) for row in table] == found[2]["evaluation"]["rows"]


def test_data_in_another_order_in_each_process_is_refused(found: dict[int, Found]) -> None:
    assert all("another order in each process" in message for message in found[2]["shuffled"])
