import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import TensorImages
from snnet.errors import CheckpointError, RecipeError, TableError
from snnet.evaluation import evaluate
from snnet.recipes import Recipe, Run, build_parts, build_trainer
from snnet.recipes.trainer import wants_scores
from snnet.space import uncut_anchor
from snnet.table import StitchTable
from snnet.training.samplers import WeightedSampler
from tests.recipes.small import NEED, SMALL, build


def test_the_steps_of_a_run(tmp_path: Path) -> None:
    parts = build()
    assert len(parts.net.space) == 36 and not parts.new_heads
    run = Run(parts, tmp_path)
    fit = run.initialize()
    assert fit is not None and fit.images == 8
    trainer = build_trainer(parts, tmp_path)
    assert trainer.optim.lr == parts.recipe.optim.lr and trainer.steps == 2
    assert trainer.fit().steps == 2
    table = run.evaluate(tmp_path / "scores.jsonl")
    assert len(table) == 2 and table[0].top1 >= 0


def test_anchors_are_scored_as_they_came_and_training_does_not_notice(tmp_path: Path) -> None:
    parts, blind = build(evaluation__stitches="all"), build(evaluation__stitches="none")
    anchors = [stitch.id for stitch in parts.net.space if stitch.is_anchor]
    came = evaluate(copy.deepcopy(parts.net), parts.validation, stitches=anchors)
    table = Run(parts, tmp_path / "run").finish()
    assert Run(blind, tmp_path / "blind").finish() is None and not (tmp_path / "blind" / "before.jsonl").exists()
    state = blind.net.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in parts.net.state_dict().items())
    before = StitchTable.load(tmp_path / "run" / "before.jsonl")
    assert before.anchors.column("loss") == came.column("loss") != table.anchors.column("loss")
    hits = StitchTable.load(tmp_path / "run" / "table.jsonl").hits
    assert len(hits) == 36 and hits.before == came.hits.bits and hits == table.hits
    again = Run(build(evaluation__stitches="all"), tmp_path / "run", begun=True).finish()
    assert again.hits == hits, "a run that goes on knows how they came"


def test_the_recipe_says_how_anchors_are_built_and_joined(tmp_path: Path) -> None:
    parts = build(network__image_size=35, network__resample=True)
    assert parts.net.input.size == (1, 35, 35) and parts.net.resample
    fit = Run(parts, tmp_path).initialize()
    assert fit is not None and fit.images == 8


def test_building_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    Run(build(), tmp_path).initialize()
    assert torch.equal(torch.rand(3), expected)


def test_scores_for_the_sampler_are_of_training_images_and_kept(tmp_path: Path) -> None:
    parts = build(**NEED)
    assert wants_scores(parts.recipe)
    with pytest.raises(RecipeError, match=r"starting_scores\.jsonl, by which the sampler draws, is gone"):
        Run(parts, tmp_path, begun=True).starting_scores()
    with pytest.raises(TableError, match="`snnet evaluate NETWORK --split train`"):
        build_trainer(parts)
    # Killed here, another recipe takes the directory.
    other = parts.recipe.model_copy(update={"sampler": parts.recipe.sampler.model_copy(update={"images": 5})})
    Run(replace(parts, recipe=other), tmp_path).starting_scores()

    scores = Run(parts, tmp_path).starting_scores()
    assert len(scores) == 36 and scores.meta["images"] == 8
    images = parts.images
    assert isinstance(images, TensorImages)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:8]
    again = evaluate(parts.net, (images.images[order], images.labels[order]), stitches=[0])
    assert again.meta["evaluation"]["data"] == scores.meta["evaluation"]["data"]
    trainer = build_trainer(parts, tmp_path, scores=scores)
    assert isinstance(trainer.sampler, WeightedSampler) and trainer.fit().steps == 2
    # Trained weights score otherwise, so a run that goes on reads what was kept.
    kept = Run(parts, tmp_path, begun=True).starting_scores()
    assert kept.column("top1") == scores.column("top1")
    assert build_trainer(parts, scores=kept).sampler.describe() == trainer.sampler.describe()


def test_anchors_keep_their_own_statistics_until_they_are_trained(tmp_path: Path) -> None:
    names = list(EMBEDDED_FAMILIES["cnn"])
    parts = build(**NEED, network__anchors=names, network__pretrained=True, recalibration__images=16)
    net = parts.net
    Run(parts, tmp_path).initialize()
    Run(parts, tmp_path / "scores").starting_scores()
    assert len(net.statistics) and all(uncut_anchor(prefix) is None for prefix in net.statistics)
    images = torch.randn(4, *net.input.size)
    with torch.no_grad():
        assert all(torch.equal(net(images, number), anchor.model(images)) for number, anchor in enumerate(net.family))
    Run(parts, tmp_path / "run").train()
    assert set(net.statistics) >= {"0:stem", "1:stem"}


def test_frozen_anchors_keep_their_own_statistics(tmp_path: Path) -> None:
    names = list(EMBEDDED_FAMILIES["cnn"])
    parts = build(network__anchors=names, recalibration__images=16, optim__freeze="smallest-anchor")
    net = parts.net
    model, images = copy.deepcopy(net.anchor(0).model).eval(), torch.randn(4, *net.input.size)
    Run(parts, tmp_path).initialize()
    Run(parts, tmp_path).train()
    net.eval()
    with torch.no_grad():
        assert torch.equal(net(images, 0), model(images))
    assert {uncut_anchor(prefix) for prefix in net.statistics} == {None, 1}


def test_a_saved_networks_anchors_are_measured_before_it_is_scored(tmp_path: Path) -> None:
    build(network__anchors=list(EMBEDDED_FAMILIES["cnn"])).net.save_pretrained(tmp_path / "net")
    options = {name: value for name, value in SMALL.items() if not name.startswith("network.")}
    options |= {"network.saved": str(tmp_path / "net"), "recalibration.images": 16}
    options |= {name.replace("__", "."): value for name, value in NEED.items()}
    parts = build_parts(Recipe.load("embedded_vit", options))
    Run(parts, tmp_path).starting_scores()
    assert {"0:stem", "1:stem"} <= set(parts.net.statistics)


class TestShards:
    @pytest.fixture
    def shards(self, tmp_path: Path) -> dict[str, Any]:
        pytest.importorskip("webdataset", reason="the package webdataset is not installed")
        from tests.data.shard_files import write_shards

        write_shards(tmp_path / "shards", [9, 8])
        write_shards(tmp_path / "shards", [6], "val")
        return {"data__name": "wds/x", "data__root": str(tmp_path / "shards"), "data__batch_size": 4}

    def test_they_take_the_same_steps(self, shards: dict[str, Any], tmp_path: Path) -> None:
        parts = build(**shards, evaluation__images=5, augment__batch__pad=1)
        # Shards that name no classes are of those that the anchors know.
        assert parts.net.num_classes == 10 and not parts.new_heads
        run = Run(parts, tmp_path)
        fit = run.initialize()
        assert fit is not None and fit.images == 8
        assert build_trainer(parts).fit().steps == 2
        table = run.evaluate(tmp_path / "scores.jsonl")
        assert len(table) == 2 and table.meta["images"] == 5

    def test_a_run_in_two_parts_equals_one(self, shards: dict[str, Any], tmp_path: Path) -> None:
        length = {"run__steps": 6, "run__save_every": 3}
        whole = build(**shards, **length)
        build_trainer(whole, tmp_path / "whole").fit()
        broken = build(**shards, **length)
        (tmp_path / "parts").mkdir()
        (tmp_path / "whole" / "checkpoints").rename(tmp_path / "parts" / "checkpoints")
        (tmp_path / "parts" / "checkpoints" / "step-00000006.pt").unlink()
        assert build_trainer(broken, tmp_path / "parts").fit(resume=True).steps == 6
        after = broken.net.state_dict()
        assert all(torch.equal(value, after[name]) for name, value in whole.net.state_dict().items())

    def test_the_order_is_a_fact_of_the_run(self, shards: dict[str, Any], tmp_path: Path) -> None:
        build_trainer(build(**shards), tmp_path).fit()
        with pytest.raises(CheckpointError, match="shuffle_buffer"):
            build_trainer(build(**shards, data__shuffle_buffer=5), tmp_path).fit(resume=True)
