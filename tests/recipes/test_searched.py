"""Runs that begin with a search."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.errors import RecipeError, SNNetError
from snnet.network import SNNet, load
from snnet.recipes import Recipe, open_run
from snnet.recipes.searched import SEARCHED, kept_routes
from snnet.searching import SCORES, SearchReport
from snnet.searching.scoring import Judge
from tests.recipes.small import SMALL, build

SEARCH = {"recipe": "default", "routes.budgets": 5, "routes.images": 16, "routes.cuts": 2, "sampler.name": "uniform"}
# Weights at random answer all alike; those of the package tell routes apart.
TRAINED = {"network.pretrained": True, "network.anchors": ["vit_fm_tiny"]}


def recipe(**changes: object) -> Recipe:
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    return Recipe.load("embedded_vit", {**SMALL, **TRAINED, **SEARCH, **changes})


def test_one_model_is_searched_trained_and_evaluated(tmp_path: Path) -> None:
    with open_run(recipe(evaluation__stitches="all"), tmp_path) as run:
        assert len(run.parts.net.space) == 1
        table = run.finish()
    assert table is not None and len(table) == len(run.parts.net.space) > 1
    before = load(tmp_path / SEARCHED)
    assert before.space == run.parts.net.space == load(tmp_path).space
    assert (tmp_path / SEARCHED / "search.png").is_file()
    moved = [
        name for name, value in before.state_dict().items() if not torch.equal(value, run.parts.net.state_dict()[name])
    ]
    assert any(name.startswith("layers.") for name in moved)


def test_a_search_is_not_made_twice(tmp_path: Path) -> None:
    with open_run(recipe(), tmp_path) as first:
        found = first.initialize()
    assert isinstance(found, SearchReport)
    with open_run(recipe(), tmp_path) as second:
        assert second.initialize() is None
    assert second.parts.net.space == first.parts.net.space
    state = first.parts.net.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in second.parts.net.state_dict().items())
    with open_run(recipe(data__max_corrupt=3, optim__lr=1.0), tmp_path) as moved:
        assert kept_routes(moved.parts, tmp_path), "how images are read, and training, decide nothing"
    with open_run(recipe(run__seed=1), tmp_path) as other:
        assert not kept_routes(other.parts, tmp_path), "another seed, another search"


def test_an_interrupted_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score, ran, most = Judge.score, list[int](), 1

    def interrupted(judge: Judge, net: SNNet, routes: Any, *rest: Any) -> None:
        if len(ran) == most:
            raise KeyboardInterrupt
        ran.append(len(routes))
        score(judge, net, routes, *rest)

    monkeypatch.setattr(Judge, "score", interrupted)
    with pytest.raises(KeyboardInterrupt), open_run(recipe(), tmp_path / "parts") as run:
        run.finish()
    searched = tmp_path / "parts" / SEARCHED
    assert (searched / SCORES).is_file() and not (searched / "search.jsonl").exists()
    most = 1000
    with open_run(recipe(), tmp_path / "parts") as again:
        again.initialize()
    in_parts = list(ran)
    assert not (searched / SCORES).exists()
    ran.clear()
    with open_run(recipe(), tmp_path / "whole") as whole:
        whole.initialize()
    assert ran == in_parts and again.parts.net.space == whole.parts.net.space
    state = whole.parts.net.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.parts.net.state_dict().items())


def test_a_run_goes_on_with_the_routes_that_it_began_with(tmp_path: Path) -> None:
    with open_run(recipe(), tmp_path / "whole") as whole:
        whole.finish()
    with open_run(recipe(run__save_every=1), tmp_path / "halves") as run:
        run.initialize()
        run.train()
    (tmp_path / "halves" / "checkpoints" / "step-00000002.pt").unlink(missing_ok=True)
    with open_run(recipe(run__save_every=1), tmp_path / "halves") as again:
        assert again.begun and again.parts.net.space == whole.parts.net.space
        again.train()
    state = whole.parts.net.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.parts.net.state_dict().items())
    shutil.rmtree(tmp_path / "halves" / SEARCHED)
    match = "searched, the network before training, is gone or another"
    with pytest.raises(RecipeError, match=match), open_run(recipe(run__save_every=1), tmp_path / "halves"):
        pass


def test_layers_of_a_search_are_trained_at_low_rank(tmp_path: Path) -> None:
    with open_run(recipe(network__lora_rank=2), tmp_path) as run:
        run.finish()
    assert run.parts.net.lora_rank == load(tmp_path).lora_rank == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network__kernel_size": 3}, "a space that is searched has no windows; leave network.kernel_size out"),
        ({"network__new_heads": True}, "a search goes by what they answer: take --recipe windows"),
        ({"routes__budgets": 0}, "routes.budgets"),
    ],
)
def test_what_does_not_go_with_a_search_is_refused_at_the_start(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SNNetError, match=message), open_run(recipe(**changes), tmp_path):
        pass


def test_a_saved_network_keeps_its_stitches(tmp_path: Path) -> None:
    build(network__anchors=["vit_fm_tiny", "vit_fm_small"]).net.save_pretrained(tmp_path / "net")
    changes = {name: value for name, value in SMALL.items() if name != "recipe" and not name.startswith("network.")}
    saved = {**changes, "network.saved": tmp_path / "net"}
    kept = Recipe.load("embedded_vit", saved)
    assert kept.recipe == "default" and kept.routes is None
    with pytest.raises(RecipeError, match="a saved network has its stitches; leave routes out"):
        Recipe.load("embedded_vit", {**saved, "routes.budgets": 3})
