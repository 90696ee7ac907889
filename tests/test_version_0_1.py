"""Files that version 0.1.0 wrote are read, give the same numbers, and are continued to the same result."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import snnet
from snnet.cli import main
from snnet.errors import TableError
from snnet.export.bundle import Bundle
from snnet.recipes import Recipe
from snnet.training import REMOVED_SETTINGS
from snnet.utils import Machine

FILES = Path(__file__).with_name("version_0_1")
RECIPES = json.loads((FILES / "recipes.json").read_text())


@pytest.mark.parametrize(("name", "size"), [("network", 28), ("network_bn", 160)])
def test_a_saved_network_gives_the_same_logits(name: str, size: int) -> None:
    net = snnet.load(FILES / name).eval()
    images = torch.linspace(-2, 2, 2 * size**2).reshape(2, 1, size, size)
    expected = load_file(FILES / f"{name}_logits.safetensors")
    assert {stitch.id for stitch in net.space} == expected.keys()
    for stitch in net.space:
        torch.testing.assert_close(net(images, stitch), expected[stitch.id], rtol=1e-5, atol=1e-6)


def test_a_bundle_gives_the_logits_of_its_network() -> None:
    images = np.linspace(-2, 2, 2 * 28**2, dtype=np.float32).reshape(2, 1, 28, 28)
    expected = load_file(FILES / "network_logits.safetensors")
    bundle = Bundle.open(FILES / "bundle")
    assert len(bundle.stitches) == 3
    for stitch in bundle.stitches:
        [logits] = bundle.session(stitch).run(None, {"images": images})
        np.testing.assert_allclose(logits, expected[str(stitch)].numpy(), atol=1e-5)


def test_a_bundle_predicts() -> None:
    images = np.linspace(-1, 1, 2 * 28**2, dtype=np.float32).reshape(2, 1, 28, 28)
    found = Bundle.open(FILES / "bundle").predict(images, "1:0-3")
    expected = snnet.load(FILES / "network").predict(torch.from_numpy(images), "1:0-3")
    for ours, theirs in zip(found, expected, strict=True):  # type: ignore[arg-type]
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-5)
        assert ours.label == theirs.label and isinstance(ours.label, int)  # it names no classes


def test_a_table_with_latencies() -> None:
    table = snnet.StitchTable.load(FILES / "profiled.jsonl")
    assert len(table) == 9 and all(row.latency_ms > 0 for row in table)
    assert table.meta["profile"]["engine"] == "onnxruntime"
    assert table.meta["profile"]["precision"] == table.meta["profile"]["network_precision"] == "fp32"


def test_a_profile_holds_for_the_precision_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    table = snnet.StitchTable.load(FILES / "profiled.jsonl")
    monkeypatch.setattr(Machine, "here", classmethod(lambda _: Machine.of(table.meta["profile"]["machine"])))
    assert snnet.select(table, prefer="latency_ms", precision="fp32") == snnet.select(table, prefer="latency_ms")
    with pytest.raises(TableError, match="measured in fp32, and the network runs in bf16"):
        snnet.select(table, prefer="latency_ms", precision="bf16")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    before = RECIPES[name]
    path.write_text(json.dumps(before))
    now = Recipe.load(path).model_dump(mode="json")
    # Gone, for all recipes had them at what is done anyway.
    expected = dict(before)
    for section in ("data", "run"):
        expected[section] = {k: v for k, v in before[section].items() if f"{section}.{k}" not in REMOVED_SETTINGS}
    assert _common(now, expected) == expected


def _common(now: dict, before: dict) -> dict:  # type: ignore[type-arg]
    """Leave out of the settings of today what version 0.1.0 did not have."""
    both = {name: (now[name], value) for name, value in before.items()}
    return {k: _common(new, old) if old and isinstance(old, dict) else new for k, (new, old) in both.items()}


def test_a_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FILES / "network", tmp_path / "network")
    shutil.copytree(FILES / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    settings = "--run.steps 6 --run.save-every 3 --run.keep 5 --data.batch-size 16 --run.threads 1 --optim.lr 1e-3"
    assert main(f"train network --data embedded --output run --evaluation.images 100 {settings}".split()) == 0
    expected = load_file(FILES / "run_finished.safetensors")
    for name, tensor in load_file(tmp_path / "run" / "model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-7)
