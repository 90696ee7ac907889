"""Recipes of the size of published ones: costs on the meta device, and first steps on stand-ins of their data."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnet.anchors import MODELS
from snnet.network import SNNet, load
from snnet.recipes import Recipe, build_parts, open_run
from snnet.table import StitchTable
from tests.conftest import build_tiny_anchor

SETR, UPERNET, DPT = "ade20k_deit3_setr", "ade20k_deit3_upernet", "nyuv2_deit3_dpt"
RECIPES = (SETR, UPERNET, DPT)
LITTLE: dict[str, Any] = {
    "network.pretrained": False,
    "network.image_size": 64,
    "data.batch_size": 2,
    "data.workers": 0,
    "calibration.images": 4,
    "run.steps": 2,
    "run.precision": "fp32",
    "run.trackers": [],
    "evaluation.batch_size": 2,
    "evaluation.budgets": [],
}
TINY_ANCHORS = ("tiny_of_two", "tiny_of_four")


def ade20k(root: Path, count: int = 5) -> Path:
    """Write pictures and masks of 0 (no class) to 150 as `ADEChallengeData2016` has them."""
    draws = np.random.default_rng(0)
    for split, number in (("training", count), ("validation", 2)):
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for place in range(number):
            name, size = f"ADE_{split}_{place:08}", (70 + 10 * place, 90)
            pixels = draws.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "images" / split / f"{name}.jpg")
            mask = np.kron(draws.integers(0, 151, (7, 9), dtype=np.uint8), np.ones((10 + place, 10), np.uint8))
            Image.fromarray(mask[: size[0], :90]).resize((90, size[0]), 0).save(
                root / "annotations" / split / f"{name}.png"
            )
    return root


def nyuv2(root: Path, count: int = 5) -> Path:
    """Write pictures and depth in millimetres, in 16 bits, 0 where it is not known."""
    draws = np.random.default_rng(0)
    for split, number in (("train", count), ("val", 2)):
        for kind in ("images", "depth"):
            (root / split / kind).mkdir(parents=True)
        for place in range(number):
            Image.fromarray(draws.integers(0, 256, (96, 128, 3), dtype=np.uint8)).save(
                root / split / "images" / f"{place}.png"
            )
            depth = draws.integers(500, 10_000, (96, 128)).astype(np.uint16)
            depth[:10] = 0
            Image.fromarray(depth).save(root / split / "depth" / f"{place}.png")
    return root


def small(name: str, folder: Path, **more: Any) -> Recipe:
    root = nyuv2(folder / "nyuv2") if name == DPT else ade20k(folder / "ade")
    return Recipe.load(name, {**LITTLE, "data.root": str(root), **more})


@pytest.fixture
def tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two anchors by name that a step takes no time with."""
    MODELS.names()
    for name, width, depth in zip(TINY_ANCHORS, (16, 32), (2, 4), strict=True):
        build = partial(build_tiny_anchor, width, depth, img_size=64, patch_size=16, in_chans=3)
        monkeypatch.setitem(MODELS._entries, name, lambda build=build, **_: build())


# Published: 33.5 and 363 G with SETR.
COSTS = {SETR: (32.512, 362.550), UPERNET: (94.950, 423.779), DPT: (133.711, 462.540)}


@pytest.mark.parametrize("name", [SETR, *(pytest.param(name, marks=pytest.mark.slow) for name in (UPERNET, DPT))])
def test_costs_of_the_real_anchors_are_near_the_published(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    # What is built after all is found right; the sketch on the meta device has all costs.
    monkeypatch.setattr("snnet.recipes.build._build_network", lambda _recipe, sketch, **_: sketch)
    recipe = small(name, tmp_path, **{"network.image_size": 512, "network.pretrained": True})
    parts = build_parts(recipe)
    table = parts.count_costs()
    anchors = [row.macs / 1e9 for row in table.anchors]
    assert anchors == pytest.approx(COSTS[name], abs=1e-3) and len(table) == 25
    if name == SETR:
        assert anchors == pytest.approx([33.5, 363], rel=0.03)
    assert parts.net.num_classes == (1 if name == DPT else 150)
    assert all(parameter.is_meta for parameter in parts.net.parameters())


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.usefixtures("tiny_models")
def test_first_steps_on_stand_ins(name: str, tmp_path: Path) -> None:
    tiny = {"network.anchors": TINY_ANCHORS, "network.image_size": None, "evaluation.stitches": "anchors"}
    recipe = small(name, tmp_path, **tiny)
    table, net = finished(recipe, tmp_path / "run")
    assert len(table) == 2 and table.score == ("rmse" if name == DPT else "miou")
    assert net.lora_rank == 16 and len(net.classes or ()) == (0 if name == DPT else 150)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_first_steps_of_the_real_anchors(name: str, tmp_path: Path) -> None:
    recipe = small(name, tmp_path, **{"evaluation.stitches": "anchors", "evaluation.windows": "slide"})
    table, net = finished(recipe, tmp_path / "run")
    assert len(table) == 2 and len(net.space) == 25
    assert [anchor.name for anchor in net.family] == ["deit3_small_patch16_384", "deit3_large_patch16_384"]


def finished(recipe: Recipe, directory: Path) -> tuple[StitchTable, SNNet]:
    """Take all steps of a recipe, and return its table and the network that it has saved."""
    with open_run(recipe, directory) as run:
        table = run.finish()
    assert table is not None
    assert all(np.isfinite(list(row.values.values())).all() for row in table)
    return table, load(directory)
