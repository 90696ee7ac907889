import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import TensorImages
from snnet.errors import CheckpointError, DataError, RecipeError, TableError
from snnet.evaluation import evaluate
from snnet.recipes import Experiment, Recipe, build_experiment, claim_directory
from snnet.recipes.recipe import SamplerSection
from snnet.space import uncut_anchor
from snnet.training import Following, OwnAnchorTeacher, content_digest
from snnet.training.samplers import WeightedSampler
from snnet.utils import torch_threads
from tests.conftest import build_tiny_net
from tests.data.image_files import truncate, write_split

SMALL: dict[str, Any] = {
    "network.anchors": ["vit_fm_tiny", "vit_fm_small"],
    "network.pretrained": False,
    "calibration.images": 8,
    "data.batch_size": 8,
    "run.steps": 2,
    "optim.warmup_epochs": 0,
    "evaluation.images": 16,
    "evaluation.stitches": "anchors",
    "run.trackers": [],
    "optim.freeze": "nothing",
    # The default draws by scores, which take a while; those that need no scores first are enough here.
    "sampler.name": "anchor-share",
}


def build(**changes: Any) -> Experiment:
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    return build_experiment(Recipe.load("embedded_vit", {**SMALL, **changes}))


def test_the_steps_of_an_experiment(tmp_path: Path) -> None:
    experiment = build()
    assert len(experiment.net.space) == 36 and not experiment.new_heads
    assert experiment.initialize().images == 8
    trainer = experiment.trainer(tmp_path)
    assert trainer.optim.lr == experiment.recipe.optim.lr and trainer.settings.steps == 2
    assert trainer.fit().steps == 2
    table = experiment.evaluate()
    assert len(table) == 2 and table[0].top1 >= 0


def test_the_same_recipe_builds_the_same_network() -> None:
    one, other = (build(network__new_heads=True, loss__teacher=None).net.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_recipe_says_how_anchors_are_built_and_joined() -> None:
    experiment = build(network__image_size=35, network__resample=True)
    assert experiment.net.input.size == (1, 35, 35) and experiment.net.resample
    assert experiment.initialize().images == 8


def test_building_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    build().initialize()
    assert torch.equal(torch.rand(3), expected)


def test_a_rank_of_stitching_layers(tmp_path: Path) -> None:
    net = build_tiny_net()
    net.save_pretrained(tmp_path / "net")
    saved = {"network.anchors": [], "network.pretrained": True, "network.saved": str(tmp_path / "net")}
    experiment = build(**saved, network__lora_rank=3)
    assert experiment.net.lora_rank == 3
    assert experiment.trainer().fit().steps == 2
    experiment.net.save_pretrained(tmp_path / "low")
    again = build(**{**saved, "network.saved": str(tmp_path / "low")}, network__lora_rank=3)
    # The same update goes on.
    assert content_digest(again.net.state_dict()) == content_digest(experiment.net.state_dict())


def test_the_choice_of_validation_images_is_fixed() -> None:
    one, other = (build(run__seed=seed).validation.dataset for seed in (0, 1))
    assert isinstance(one, TensorImages) and isinstance(other, TensorImages)
    assert len(one) == 16 and torch.equal(one.images, other.images)


NEED = {"sampler__name": "weighted", "sampler__options": {"by": "need"}, "sampler__images": 8}


def test_scores_for_the_sampler_are_of_training_images_and_kept(tmp_path: Path) -> None:
    experiment = build(**NEED)
    assert experiment.wants_scores
    with pytest.raises(RecipeError, match=r"starting_scores\.jsonl, by which the sampler draws, is gone"):
        experiment.starting_scores(tmp_path, begun=True)
    with pytest.raises(TableError, match="`snnet evaluate NETWORK --split train`"):
        experiment.trainer()
    # Killed here, another recipe takes the directory.
    other = experiment.recipe.model_copy(update={"sampler": experiment.recipe.sampler.model_copy(update={"images": 5})})
    replace(experiment, recipe=other).starting_scores(tmp_path, begun=False)

    scores = experiment.starting_scores(tmp_path, begun=False)
    assert len(scores) == 36 and scores.meta["images"] == 8
    images = experiment.images
    assert isinstance(images, TensorImages)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:8]
    again = evaluate(experiment.net, (images.images[order], images.labels[order]), stitches=[0])
    assert again.meta["evaluation"]["data"] == scores.meta["evaluation"]["data"]
    trainer = experiment.trainer(tmp_path, scores=scores)
    assert isinstance(trainer.sampler, WeightedSampler) and trainer.fit().steps == 2
    # Trained weights score otherwise, so a run that goes on reads what was kept.
    kept = experiment.starting_scores(tmp_path, begun=True)
    assert kept.column("top1") == scores.column("top1")
    assert experiment.trainer(scores=kept).sampler.describe() == trainer.sampler.describe()


def test_anchors_keep_their_own_statistics_until_they_are_trained(tmp_path: Path) -> None:
    names = list(EMBEDDED_FAMILIES["cnn"])
    experiment = build(**NEED, network__anchors=names, network__pretrained=True, recalibration__images=16)
    net = experiment.net
    experiment.initialize()
    experiment.starting_scores(tmp_path / "scores", begun=False)
    assert len(net.statistics) and all(uncut_anchor(prefix) is None for prefix in net.statistics)
    images = torch.randn(4, *net.input.size)
    with torch.no_grad():
        assert all(torch.equal(net(images, number), anchor.model(images)) for number, anchor in enumerate(net.family))
    experiment.fit(tmp_path / "run", begun=False)
    assert set(net.statistics) >= {"0:stem", "1:stem"}


def test_frozen_anchors_keep_their_own_statistics(tmp_path: Path) -> None:
    names = list(EMBEDDED_FAMILIES["cnn"])
    experiment = build(network__anchors=names, recalibration__images=16, optim__freeze="smallest-anchor")
    net = experiment.net
    model, images = copy.deepcopy(net.anchor(0).model).eval(), torch.randn(4, *net.input.size)
    experiment.initialize()
    experiment.fit(tmp_path, begun=False)
    net.eval()
    with torch.no_grad():
        assert torch.equal(net(images, 0), model(images))
    assert {uncut_anchor(prefix) for prefix in net.statistics} == {None, 1}


def test_scores_during_training_are_with_the_statistics_of_the_end() -> None:
    options = {"network__anchors": list(EMBEDDED_FAMILIES["cnn"]), "recalibration__images": 16, "evaluation__every": 1}
    for freeze, measured in (("smallest-anchor", [1]), ("nothing", [0, 1])):
        probe = build(**options, optim__freeze=freeze).trainer().probe
        assert probe is not None and probe.anchors == measured


def test_a_saved_networks_anchors_are_measured_before_it_is_scored(tmp_path: Path) -> None:
    build(network__anchors=list(EMBEDDED_FAMILIES["cnn"])).net.save_pretrained(tmp_path / "net")
    options = {name: value for name, value in SMALL.items() if not name.startswith("network.")}
    options |= {"network.saved": str(tmp_path / "net"), "recalibration.images": 16}
    options |= {name.replace("__", "."): value for name, value in NEED.items()}
    experiment = build_experiment(Recipe.load("embedded_vit", options))
    experiment.starting_scores(tmp_path, begun=False)
    assert {"0:stem", "1:stem"} <= set(experiment.net.statistics)


def test_the_sandwich_with_a_teacher_in_place() -> None:
    in_place = {"loss__teacher__source": "in-place", "loss__first_teacher__source": "own-anchors"}
    experiment = build(**in_place, sampler__name="sandwich", sampler__options={"random": 1})
    trainer = experiment.trainer()
    assert trainer.loss.in_place == Following(kind="soft", alpha=1.0, temperature=2.0)
    assert trainer.loss.distillation is not None
    assert isinstance(trainer.loss.distillation.teacher, OwnAnchorTeacher)
    assert trainer.fit().steps == 2
    uniform = experiment.recipe.model_copy(update={"sampler": SamplerSection()})
    with pytest.raises(RecipeError, match=r"'uniform' draws one stitch a step.*set sampler.name to sandwich"):
        replace(experiment, recipe=uniform).trainer()


def test_epochs_become_steps() -> None:
    experiment = build(run__steps=None, run__epochs=0.5, run__accumulation=2, optim__warmup_epochs=0.1)
    trainer = experiment.trainer()
    assert trainer.settings.steps == 10_000 // 8 // 4
    assert trainer.optim.warmup_steps == 62


def test_other_classes_give_fresh_heads_and_forbid_own_teachers(tmp_path: Path) -> None:
    write_split(tmp_path / "train")
    write_split(tmp_path / "val", per_class=2)
    folder = {"data__name": "folder", "data__root": str(tmp_path), "data__batch_size": 4}
    experiment = build(**folder)
    assert experiment.net.num_classes == 2
    assert "2 classes and the anchors 10" in experiment.new_heads
    with pytest.raises(RecipeError, match="classifiers are new"):
        experiment.trainer()
    experiment = build(**folder, loss__teacher=None, augment__mix__mixup=0.8, augment__image__hflip=0.0)
    assert experiment.trainer(None).fit().steps == 2


def test_a_frozen_anchor_alone_is_not_drawn() -> None:
    def drawn(**changes: Any) -> set[str]:
        sampler = build(**changes).trainer().sampler
        generator = torch.Generator().manual_seed(0)
        return {route.id for step in range(400) for route in sampler.draw(step, generator)}

    small, large = "0:0-12", "1:0-12"
    assert {small, large} <= drawn(optim__freeze="nothing")
    some = drawn(optim__freeze="smallest-anchor")
    assert small not in some and large in some
    assert not {small, large} & drawn(optim__freeze="anchors", sampler__name="uniform")
    # As a teacher in its step it is of use.
    assert {small, large} <= drawn(optim__freeze="anchors", sampler__name="sandwich")
    with pytest.raises(RecipeError, match=r"share of anchors needs both.*Of 36 stitches 34 can be drawn"):
        drawn(optim__freeze="anchors")


def test_a_new_classifier_must_not_be_frozen() -> None:
    with pytest.raises(RecipeError, match=r"fresh classifiers, for the recipe .*optim\.freeze is 'smallest-anchor'"):
        build(network__new_heads=True, loss__teacher=None, optim__freeze="smallest-anchor")
    assert build(network__new_heads=True, loss__teacher=None).trainer()


def test_a_saved_network_is_taken_as_it_is(tmp_path: Path) -> None:
    net = build_tiny_net()
    net.save_pretrained(tmp_path / "net")
    changes = {"network.anchors": [], "network.pretrained": True, "network.saved": str(tmp_path / "net")}
    experiment = build(**changes)
    assert experiment.net.space == net.space
    write_split(tmp_path / "train")
    write_split(tmp_path / "val", per_class=2)
    with pytest.raises(DataError, match="2 classes"):
        build(**changes, data__name="folder", data__root=str(tmp_path))


def test_a_run_does_not_go_on_with_images_of_other_classes(tmp_path: Path) -> None:
    for folder, classes in (("pets", ("cat", "dog")), ("moved", ("cat", "dog")), ("others", ("ape", "cat"))):
        write_split(tmp_path / folder / "train", classes)
        write_split(tmp_path / folder / "val", classes, per_class=2)
    data = {"data__name": "folder", "data__batch_size": 4, "loss__teacher": None}
    build(**data, data__root=str(tmp_path / "pets")).trainer(tmp_path / "run").fit()
    assert build(**data, data__root=str(tmp_path / "moved")).trainer(tmp_path / "run").fit(resume=True).steps == 2
    with pytest.raises(CheckpointError, match=r"data\.classes was"):
        build(**data, data__root=str(tmp_path / "others")).trainer(tmp_path / "run").fit(resume=True)


def test_a_timm_teacher() -> None:
    experiment = build(loss__teacher__source="vit_fm_base", loss__teacher__pretrained=False)
    assert experiment.trainer().fit().steps == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler__options": {"shares": 0.2}, "sampler__name": "anchor-share"}, "sampler.options"),
        ({"augment__mix__mixup": 0.8, "data__batch_size": 7}, "even"),
        ({"run__device": "tpu"}, "tpu"),
    ],
)
def test_what_does_not_fit(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build(**changes).trainer()


def test_a_directory_is_claimed_once_training_has_begun(tmp_path: Path) -> None:
    recipe = Recipe.load("embedded_vit")
    other = Recipe.load("embedded_vit", {"optim.lr": 0.5})
    assert not claim_directory(other, tmp_path)
    assert not claim_directory(recipe, tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000001.pt").touch()
    assert claim_directory(recipe, tmp_path)
    assert claim_directory(Recipe.load("embedded_vit", {"run.keep": 9, "data.workers": 1}), tmp_path)
    # The same settings, each written out.
    assert claim_directory(recipe.model_copy(update={"recipe": None}), tmp_path)
    with pytest.raises(RecipeError, match=r"optim\.lr was .* and is 0\.5"):
        claim_directory(other, tmp_path)
    (tmp_path / "recipe.yaml").write_text("network: {anchors: [a, b]}\nrun: {stepz: 3}\n")
    with pytest.raises(RecipeError, match=r"recipe\.yaml has a fault:\n  run\.stepz: unknown key"):
        claim_directory(recipe, tmp_path)


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_choice_of_validation_images_keeps_to_the_limit_of_corrupt_ones(tmp_path: Path) -> None:
    write_split(tmp_path / "train")
    for path in write_split(tmp_path / "val").rglob("*.*"):
        truncate(path)
    folder = {"data__name": "folder", "data__root": str(tmp_path), "data__batch_size": 4, "loss__teacher": None}
    experiment = build(**folder, data__max_corrupt=1, evaluation__images=6)
    with pytest.raises(DataError, match=r"6 of 6 images do not decode, more than max_corrupt=1: .*val/"):
        list(experiment.validation)
    experiment = build(**folder, data__max_corrupt=6, evaluation__images=6)
    with pytest.raises(DataError, match="None of the 6 images decodes"):
        list(experiment.validation)
    assert len(experiment.validation.skipped) == 6


class TestShards:
    @pytest.fixture
    def shards(self, tmp_path: Path) -> dict[str, Any]:
        pytest.importorskip("webdataset", reason="the package webdataset is not installed")
        from tests.data.shard_files import write_shards

        write_shards(tmp_path / "shards", [9, 8])
        write_shards(tmp_path / "shards", [6], "val")
        return {"data__name": "wds/x", "data__root": str(tmp_path / "shards"), "data__batch_size": 4}

    def test_they_take_the_same_steps(self, shards: dict[str, Any]) -> None:
        experiment = build(**shards, evaluation__images=5, augment__batch__pad=1)
        # Shards that name no classes are of those that the anchors know.
        assert experiment.net.num_classes == 10 and not experiment.new_heads
        assert experiment.initialize().images == 8
        assert experiment.trainer().fit().steps == 2
        table = experiment.evaluate()
        assert len(table) == 2 and table.meta["images"] == 5

    def test_a_run_in_two_parts_equals_one(self, shards: dict[str, Any], tmp_path: Path) -> None:
        length = {"run__steps": 6, "run__save_every": 3}
        whole = build(**shards, **length)
        whole.trainer(tmp_path / "whole").fit()
        broken = build(**shards, **length)
        (tmp_path / "parts").mkdir()
        (tmp_path / "whole" / "checkpoints").rename(tmp_path / "parts" / "checkpoints")
        (tmp_path / "parts" / "checkpoints" / "step-00000006.pt").unlink()
        assert broken.trainer(tmp_path / "parts").fit(resume=True).steps == 6
        after = broken.net.state_dict()
        assert all(torch.equal(value, after[name]) for name, value in whole.net.state_dict().items())

    def test_the_order_is_a_fact_of_the_run(self, shards: dict[str, Any], tmp_path: Path) -> None:
        build(**shards).trainer(tmp_path).fit()
        with pytest.raises(CheckpointError, match="shuffle_buffer"):
            build(**shards, data__shuffle_buffer=5).trainer(tmp_path).fit(resume=True)
