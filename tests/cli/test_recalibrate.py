import shutil
from pathlib import Path

import pytest
import torch

import snnet
from snnet.anchors import load_anchor
from snnet.recipes import Recipe, run_demo
from snnet.recipes.demo import Watching
from snnet.space import uncut_anchor
from tests.batch_norm_family import WIDTHS  # registers the anchors
from tests.cli.conftest import Run

FAMILY = ("tiny_conv_bn_4", "tiny_conv_bn_6")
assert WIDTHS[:2] == (4, 6)


@pytest.fixture(scope="module")
def stitched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never recalibrated."""
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("bn") / "net"
    snnet.stitch(*map(load_anchor, FAMILY)).save_pretrained(directory)
    return directory


@pytest.fixture
def network(stitched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stitched, tmp_path / "net"))


def test_statistics_are_saved_with_the_network(run: Run, network: Path) -> None:
    assert run("evaluate", network, "--stitches", "0", "--device", "cpu").code == 0
    before = snnet.load(network)
    assert before.table is not None and "top1" in before.table.columns
    outcome = run("recalibrate", network, "--images", "32", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert f"{len(before.space)} stitches recalibrated on 32 images" in outcome.out
    after = snnet.load(network)
    assert len(after.statistics) and after.table is not None and "top1" not in after.table.columns
    weights, state = before.state_dict(), after.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.items())
    # Scores of the other statistics do not stand in the way.
    assert run("evaluate", network, "--stitches", "0", "--device", "cpu").code == 0


def test_chosen_stitches_into_another_directory(run: Run, network: Path, tmp_path: Path) -> None:
    out = tmp_path / "other"
    outcome = run("recalibrate", network, "--images", "8", "--stitches", "0", "--output", out, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert set(snnet.load(out).statistics) == {"0:stem", *(f"0:0-{n}" for n in (1, 2, 3, 4)), "0:0-4,head"}
    assert not len(snnet.load(network).statistics)


def test_without_anchors(run: Run, network: Path) -> None:
    assert run("recalibrate", network, "--images", "8", "--device", "cpu").code == 0
    assert "0:stem" in set(snnet.load(network).statistics)
    outcome = run("recalibrate", network, "--images", "8", "--no-anchors", "--device", "cpu")
    after = snnet.load(network)
    assert outcome.code == 0 and f"{len(after.space) - 2} stitches recalibrated on 8 images" in outcome.out
    assert len(after.statistics) and all(uncut_anchor(prefix) is None for prefix in after.statistics)


def test_a_network_without_batch_norm_is_left_alone(run: Run, saved: Path) -> None:
    before = (saved / "model.safetensors").read_bytes()
    outcome = run("recalibrate", saved)
    assert outcome.code == 0 and "no batch norm" in outcome.out
    assert (saved / "model.safetensors").read_bytes() == before


def test_one_image_is_too_few(run: Run, network: Path) -> None:
    outcome = run("recalibrate", network, "--images", "1", "--device", "cpu")
    assert outcome.code == 2 and "images: one image has no variance" in outcome.err


def test_init_and_train_recalibrate_by_themselves(run: Run, tmp_path: Path) -> None:
    net, out = tmp_path / "net", tmp_path / "run"
    tokens = ("init", *FAMILY, "--no-pretrained", "--images", "8", "--device", "cpu", "--output")
    assert run(*tokens, tmp_path / "without", "--recalibration-images", "0").code == 0
    assert not len(snnet.load(tmp_path / "without").statistics)
    assert run(*tokens, net, "--recalibration-images", "16").code == 0
    initialized = snnet.load(net)
    assert len(initialized.statistics)
    images = torch.randn(4, *initialized.input.size)
    for number in range(2):
        # Nothing was trained: each anchor is still exactly the model that it came from.
        assert torch.equal(initialized(images, number), initialized.anchor(number).model(images))

    train = ("train", net, "--output", out, "--run.steps", "2", "--data.batch-size", "8", "--run.device", "cpu")
    train += ("--evaluation.images", "20", "--recalibration.images", "16")
    outcome = run(*train)
    assert outcome.code == 0, outcome.err
    trained = snnet.load(out)
    assert set(trained.statistics) > set(initialized.statistics) and "0:stem" in set(trained.statistics)
    name = next(iter(initialized.statistics))
    assert not torch.equal(trained.statistics.get_buffer(name), initialized.statistics.get_buffer(name))
    again = run(*train)
    count = len(trained.space)
    assert again.code == 0 and f"{count} of {count} stitches were evaluated before" in again.err
    # Other statistics are no other run, but other scores.
    other = run(*train[:-1], "0")
    assert other.code == 0 and "evaluated anew" in other.err
    assert not len(snnet.load(out).statistics)


@pytest.mark.slow
def test_the_demo_recalibrates_before_each_evaluation(tmp_path: Path) -> None:
    stages: list[str] = []

    class Stage:
        def __init__(self, title: str) -> None:
            stages.append(title)

        def __enter__(self):  # type: ignore[no-untyped-def]
            return lambda done, total, note: None

        def __exit__(self, *_: object) -> None:
            pass

    changes = {
        "recipe": "windows",
        "network.anchors": list(FAMILY),
        "network.pretrained": False,
        "calibration.images": 8,
        "recalibration.images": 16,
        "data.batch_size": 8,
        "run.steps": 1,
        "run.trackers": [],
        "run.device": "cpu",
        "optim.warmup_epochs": 0,
        "evaluation.images": 12,
        "evaluation.budgets": [1e9],
    }
    result = run_demo(tmp_path, recipe=Recipe.load("embedded_vit", changes), watching=Watching(Stage))
    middle = ["Recalibrating", "Evaluating all, before", "Scoring for the sampler", "Training", "Recalibrating"]
    assert stages == ["Least squares", *middle, "Evaluating all, after"]
    net = snnet.load(tmp_path)
    assert "0:stem" in set(net.statistics) and len(result.after) == len(net.space)
