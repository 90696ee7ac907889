import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from snnet.data import TensorImages
from snnet.errors import DataError, RecipeError, SpaceError, TableError
from snnet.evaluation import evaluate, plan_groups
from snnet.network import SNNet, run_tree
from snnet.space import Stitch, StitchSpace
from snnet.table import StitchRow, StitchTable
from tests.conftest import build_tiny_net
from tests.helpers.routes import build_free_net


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(40, 1, 28, 28, generator=generator), torch.randint(10, (40,), generator=generator)


def count_steps(net, monkeypatch) -> Counter:
    """Count the steps that the network runs from now on."""
    counts: Counter = Counter()
    plain = net.run_step

    def counting(step, features, prefix=""):
        counts[step] += 1
        return plain(step, features, prefix)

    monkeypatch.setattr(net, "run_step", counting)
    return counts


def heads(counts: Counter) -> int:
    return sum(n for step, n in counts.items() if step.kind == "head")


class KilledError(Exception):
    pass


def kill_after(groups: int):
    """A progress callback that raises when this many groups have been saved."""

    def progress(done, total, note):
        nonlocal groups
        groups -= note.endswith("done")
        if groups == 0:
            raise KilledError

    return progress


@pytest.mark.parametrize("space", [{}, {"nearest": False, "direction": "both"}])
def test_shared_prefixes_equal_a_plain_loop(space, data, tiny_anchors):
    net = SNNet(tiny_anchors, StitchSpace.build([anchor.depths for anchor in tiny_anchors], **space)).eval()
    images, _ = data
    groups = plan_groups({stitch: net.steps(stitch) for stitch in net.space}, lambda step: 1.0)
    with torch.inference_mode():
        found = dict(pair for group in groups for pair in run_tree(net, group, images))
        assert set(found) == {stitch.id for stitch in net.space}
        for stitch in net.space:
            torch.testing.assert_close(found[stitch.id], net(images, stitch), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("build", [build_tiny_net, partial(build_free_net, 1), partial(build_free_net, 2)])
def test_scores_equal_a_plain_loop(build, data):
    net = build()
    images, labels = data
    table = evaluate(net, data, batch_size=16)
    assert [row.stitch for row in table] == [stitch.id for stitch in net.space]
    assert table.meta["images"] == 40
    assert table.meta["nonfinite"] == {}
    for row in table:
        with torch.no_grad():
            logits = net(images, row.stitch)
        rank = (logits > logits.gather(1, labels[:, None])).sum(1)
        assert row.top1 == pytest.approx(100 * (rank < 1).float().mean().item())
        assert row.top5 == pytest.approx(100 * (rank < 5).float().mean().item())
        assert row.loss == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-5)


def test_every_distinct_step_runs_once_per_batch_in_one_group(tiny_net, data, monkeypatch):
    counts = count_steps(tiny_net, monkeypatch)
    evaluate(tiny_net, data, batch_size=20, max_groups=1)
    assert {counts[step] for step in tiny_net.steps(0)} == {2}
    assert {n for step, n in counts.items() if step.kind == "stem"} == {2}
    assert heads(counts) == 2 * len(tiny_net.space)


def test_chosen_stitches_are_merged_with_the_costs(tiny_net, data):
    costs = [StitchRow(i, s.id, {"macs": i, "top1": 1.0}) for i, s in enumerate(tiny_net.space)]
    tiny_net.table = StitchTable(costs, {"anchors": ["a", "b", "c"]})
    chosen = [2, tiny_net.space[5].id, tiny_net.space[2]]
    table = evaluate(tiny_net, data, stitches=chosen)
    assert [row.index for row in table] == [2, 5]
    assert table.columns == ("macs", "top1", "top5", "loss")
    assert len(tiny_net.table) == len(tiny_net.space)
    assert tiny_net.table.meta["anchors"] == ["a", "b", "c"]
    # The old scores were not known to be of these weights and images.
    assert [row.index for row in tiny_net.table if "top1" in row.values] == [2, 5]
    evaluate(tiny_net, data, stitches=[7])
    assert [row.index for row in tiny_net.table if "top1" in row.values] == [2, 5, 7]
    evaluate(tiny_net, (data[0] + 1, data[1]), stitches=[7])
    assert [row.index for row in tiny_net.table if "top1" in row.values] == [7]


def test_training_mode_and_gradients_are_as_before(tiny_net, data):
    tiny_net.train()
    tiny_net.layers.eval()
    evaluate(tiny_net, data, stitches=[0])
    assert tiny_net.training
    assert not tiny_net.layers.training
    tiny_net(data[0], 3).sum().backward()
    with pytest.raises(DataError):
        evaluate(tiny_net, (data[0], data[1] + 10), stitches=[0])
    assert tiny_net.anchors[0].training


def test_batches_read_during_evaluation_can_be_trained_on(tiny_net, data):
    class Cached(Dataset):
        def __init__(self):
            self.kept = {}

        def __len__(self):
            return 4

        def __getitem__(self, index):
            return self.kept.setdefault(index, data[0][index] * 2), int(data[1][index])

    dataset = Cached()
    evaluate(tiny_net, dataset, stitches=[0])
    assert not any(image.is_inference() for image in dataset.kept.values())


def test_mixed_precision_is_near_and_said(tiny_net, data):
    full, mixed = evaluate(tiny_net, data), evaluate(tiny_net, data, precision="bf16")
    for a, b in zip(full, mixed, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=0.02)
    assert mixed.meta["evaluation"]["precision"] == "fp32 with bf16"
    assert full[3].loss != mixed[3].loss


def test_logits_that_are_not_numbers_are_wrong_and_named(tiny_net, data):
    with torch.no_grad():
        tiny_net.anchor(2).head_parameters()[-1].fill_(float("nan"))
    table = evaluate(tiny_net, data)
    broken = {s.id for s in tiny_net.space if s.anchors[-1] == 2}
    assert table.meta["nonfinite"] == dict.fromkeys([row.stitch for row in table if row.stitch in broken], 40)
    for row in table:
        assert ("loss" not in row.values) == (row.stitch in broken)
        assert row.stitch not in broken or row.top1 == row.top5 == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stitches": ["0:0-9"]}, SpaceError, "0:0-9"),
        ({"precision": "fp8"}, RecipeError, "'fp8' is unknown; accepted: fp32, bf16, fp16"),
        ({"batch_size": 0}, DataError, "batch_size=0 is too small"),
        ({"max_groups": 0}, DataError, "max_groups=0 is too small"),
        ({"precision": "fp16"}, RecipeError, "fp16.*CPU"),
    ],
)
def test_bad_settings_are_refused(tiny_net, data, options, error, message):
    with pytest.raises(error, match=message):
        evaluate(tiny_net, data, **options)


def test_data_that_changes_between_passes_is_refused(tiny_net, data):
    class Augmented(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return data[0][index] + torch.randn(()), int(data[1][index])

    with pytest.raises(DataError, match="random augmentation"):
        evaluate(tiny_net, Augmented())


def test_progress_counts_up_to_the_total(tiny_net, data):
    told = []
    evaluate(tiny_net, DataLoader(list(zip(*data, strict=True)), batch_size=20), progress=lambda *a: told.append(a))
    done = [d for d, _, _ in told]
    assert done == sorted(done)
    assert told[-1][:2] == (2 * len(tiny_net.space), 2 * len(tiny_net.space))
    assert "group 1/" in told[0][2]


def test_a_killed_run_goes_on_without_finished_stitches(tiny_net, data, tmp_path, monkeypatch):
    whole = evaluate(tiny_net, data)
    tiny_net.table = None
    output = tmp_path / "new" / "table.jsonl"
    with pytest.raises(KilledError):
        evaluate(tiny_net, data, output=output, progress=kill_after(3))
    finished = len(StitchTable.load(output))
    assert 3 <= finished < len(tiny_net.space)

    counts, told = count_steps(tiny_net, monkeypatch), []
    table = evaluate(tiny_net, data, output=output, progress=lambda *a: told.append(a))
    assert heads(counts) == len(tiny_net.space) - finished
    assert told[0] == (finished, len(table), f"{finished} of {len(table)} stitches were evaluated before")
    assert table.rows == whole.rows == StitchTable.load(output).rows == tiny_net.table.rows

    counts.clear()
    assert evaluate(tiny_net, data, output=output).rows == whole.rows
    assert not counts


def test_a_group_that_was_not_finished_leaves_nothing(tiny_net, data, tmp_path):
    def progress(done, total, note):
        raise KilledError

    with pytest.raises(KilledError):
        evaluate(tiny_net, data, output=tmp_path / "table.jsonl", progress=progress)
    assert not list(tmp_path.iterdir())


def change_weights(net, data):
    with torch.no_grad():
        net.layers[net.space.layers[0].name].transform.bias += 1
    return data, {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_weights, "other weights or layers"),
        (lambda net, data: ((data[0].flip(0), data[1]), {}), "other images or labels"),
        (lambda net, data: ((data[0][:30], data[1][:30]), {}), r"other images or labels \(\d+ images there, 30 here\)"),
        (lambda net, data: (data, {"precision": "bf16"}), "other number format"),
    ],
)
def test_scores_of_something_else_are_not_taken_over(tiny_net, data, tmp_path, change, message):
    output = tmp_path / "table.jsonl"
    evaluate(tiny_net, data, stitches=[0, 1], output=output)
    before = output.read_text()
    data, options = change(tiny_net, data)
    with pytest.raises(TableError, match=f"table.jsonl holds scores of something else: {message}.*delete"):
        evaluate(tiny_net, data, output=output, **options)
    assert output.read_text() == before


def test_scores_of_fewer_images_say_where_such_come_from(tiny_net, data, tmp_path):
    images, labels = data
    output = tmp_path / "table.jsonl"
    evaluate(tiny_net, (images[:7], labels[:7]), stitches=[0], output=output)
    said = rf"\(7 images there, {len(images)} here; `snnet train` with evaluation\.images 7 scores .*--output FILE"
    with pytest.raises(TableError, match=said):
        evaluate(tiny_net, data, stitches=[0], output=output)


def test_scores_without_their_origin_are_not_taken_over(tiny_net, data, tmp_path):
    output = StitchTable([StitchRow(0, "0:0-4", {"top1": 70.0})]).save(tmp_path / "published.jsonl")
    with pytest.raises(TableError, match="other weights"):
        evaluate(tiny_net, data, output=output)


def test_costs_in_the_file_are_kept_and_files_grow(tiny_net, data, tmp_path):
    output = StitchTable([StitchRow(0, "0:0-4", {"macs": 70})], {"device": "cpu"}).save(tmp_path / "t.jsonl")
    evaluate(tiny_net, data, stitches=[1], output=output)
    evaluate(tiny_net, data, stitches=[0, 2], output=output)
    table = StitchTable.load(output)
    assert [(row.index, "top1" in row.values) for row in table] == [(0, True), (1, True), (2, True)]
    assert table["0:0-4"].macs == 70
    assert table.meta["device"] == "cpu"


CHILD = """
import sys, time, torch
sys.path.insert(0, {root!r} + "/tests")
from conftest import build_tiny_net
from snnet.evaluation import evaluate, plan_groups
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(1)
data = torch.randn(40, 1, 28, 28, generator=generator), torch.randint(10, (40,), generator=generator)
evaluate(build_tiny_net(), data, output={output!r}, progress=lambda *_: time.sleep(0.1))
"""


def test_sigkill_loses_only_the_group_at_work(tiny_net, data, tmp_path, monkeypatch):
    output = tmp_path / "table.jsonl"
    root = str(Path(__file__).resolve().parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(root=root, output=str(output))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([f"{root}/src", os.environ.get("PYTHONPATH", "")])},
    )
    try:
        deadline = time.monotonic() + 120
        while not output.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert output.exists(), "the child wrote nothing"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL

    finished = [json.loads(line)["stitch"] for line in output.read_text().splitlines()[1:]]
    assert 0 < len(finished) < len(tiny_net.space)
    counts = count_steps(tiny_net, monkeypatch)
    table = evaluate(tiny_net, data, output=output)
    assert heads(counts) == len(tiny_net.space) - len(finished)
    assert table.rows == evaluate(tiny_net, data).rows
    assert all(Stitch(stitch) in tiny_net.space for stitch in finished)


def test_data_whose_classes_are_in_another_order_is_refused(tiny_net: SNNet, data) -> None:
    tiny_net.classes = tuple("abcdefghij")
    assert len(evaluate(tiny_net, TensorImages(*data, "abcdefghij"), stitches=[0])) == 1
    swapped = DataLoader(TensorImages(*data, "abdcefghij"), batch_size=8)
    with pytest.raises(DataError, match="class 2 is 'c' in the network and 'd' in the data"):
        evaluate(tiny_net, swapped, stitches=[0])
    assert len(evaluate(tiny_net, data, stitches=[0])) == 1, "data without names is taken at its word"
