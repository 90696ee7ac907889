from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.errors import CheckpointError, RecipeError
from snnet.recipes import Recipe, build_trainer
from snnet.recipes.sections import SamplerSettings
from snnet.training import OwnAnchorTeacher, content_digest
from tests.conftest import build_tiny_net
from tests.data.image_files import write_split
from tests.recipes.small import SMALL, build


def test_a_rank_of_stitching_layers(tmp_path: Path) -> None:
    net = build_tiny_net()
    net.save_pretrained(tmp_path / "net")
    saved = {"network.anchors": [], "network.pretrained": True, "network.saved": str(tmp_path / "net")}
    parts = build(**saved, network__lora_rank=3)
    assert parts.net.lora_rank == 3
    assert build_trainer(parts).fit().steps == 2
    parts.net.save_pretrained(tmp_path / "low")
    again = build(**{**saved, "network.saved": str(tmp_path / "low")}, network__lora_rank=3)
    # The same update goes on.
    assert content_digest(again.net.state_dict()) == content_digest(parts.net.state_dict())


def test_scores_during_training_are_with_the_statistics_of_the_end() -> None:
    options = {"network__anchors": list(EMBEDDED_FAMILIES["cnn"]), "recalibration__images": 16, "evaluation__every": 1}
    for freeze, measured in (("smallest-anchor", [1]), ("nothing", [0, 1])):
        probe = build_trainer(build(**options, optim__freeze=freeze)).probe
        assert probe is not None and probe.anchors == measured


def test_the_sandwich_with_a_teacher_in_place() -> None:
    in_place = {"loss__teacher__source": "in-place", "loss__first_teacher__source": "own-anchors"}
    in_place |= {"loss__teacher__alpha": "1.0"}
    parts = build(**in_place, sampler__name="sandwich", sampler__options={"random": 1})
    trainer = build_trainer(parts)
    assert trainer.loss.describe()["in_place"] == {"kind": "soft", "alpha": 1.0, "temperature": 2.0}
    assert trainer.loss.distillation is not None
    assert isinstance(trainer.loss.distillation.teacher, OwnAnchorTeacher)
    assert trainer.fit().steps == 2
    uniform = parts.recipe.model_copy(update={"sampler": SamplerSettings()})
    with pytest.raises(RecipeError, match=r"'uniform' draws one stitch a step.*set sampler.name to sandwich"):
        build_trainer(replace(parts, recipe=uniform))


def test_epochs_become_steps() -> None:
    parts = build(run__steps=None, run__epochs=0.5, run__accumulation=2, optim__warmup_epochs=0.1)
    trainer = build_trainer(parts)
    assert trainer.steps == 10_000 // 8 // 4
    assert trainer.warmup == 62


def test_other_classes_give_fresh_heads_and_forbid_own_teachers(tmp_path: Path) -> None:
    write_split(tmp_path / "train")
    write_split(tmp_path / "val", per_class=2)
    folder = {"data__name": "folder", "data__root": str(tmp_path), "data__batch_size": 4}
    with pytest.raises(RecipeError, match="classifiers are new"):
        build(**folder)
    parts = build(**folder, loss__teacher=None, augment__mix__mixup=0.8, augment__image__hflip=0.0)
    assert parts.net.num_classes == 2
    assert "2 classes and the anchors 10" in parts.new_heads
    assert build_trainer(parts).fit().steps == 2


def test_a_frozen_anchor_alone_is_not_drawn() -> None:
    parts = build()

    def drawn(**changes: str) -> set[str]:
        settings = {name.replace("__", "."): value for name, value in changes.items()}
        sampler = build_trainer(replace(parts, recipe=Recipe.load("embedded_vit", {**SMALL, **settings}))).sampler
        generator = torch.Generator().manual_seed(0)
        return {route.id for step in range(400) for route in sampler.draw(step, generator)}

    small, large = "0:0-12", "1:0-12"
    assert {small, large} <= drawn(optim__freeze="nothing")
    some = drawn(optim__freeze="smallest-anchor")
    assert small not in some and large in some
    assert not {small, large} & drawn(optim__freeze="anchors", sampler__name="uniform")
    # As a teacher in its step it is of use.
    assert {small, large} <= drawn(optim__freeze="anchors", sampler__name="sandwich")
    assert not {small, large} & drawn(optim__freeze="anchors")
    parts = build(optim__freeze="anchors")
    parts.use(parts.net.space.where(max_segments=1))
    with pytest.raises(RecipeError, match=r"empty.*Of 2 stitches 0 can be drawn"):
        build_trainer(parts)


def test_a_run_does_not_go_on_with_images_of_other_classes(tmp_path: Path) -> None:
    for folder, classes in (("pets", ("cat", "dog")), ("moved", ("cat", "dog")), ("others", ("ape", "cat"))):
        write_split(tmp_path / folder / "train", classes)
        write_split(tmp_path / folder / "val", classes, per_class=2)
    data = {"data__name": "folder", "data__batch_size": 4, "loss__teacher": None}
    build_trainer(build(**data, data__root=str(tmp_path / "pets")), tmp_path / "run").fit()
    assert (
        build_trainer(build(**data, data__root=str(tmp_path / "moved")), tmp_path / "run").fit(resume=True).steps == 2
    )
    with pytest.raises(CheckpointError, match=r"data\.classes was"):
        build_trainer(build(**data, data__root=str(tmp_path / "others")), tmp_path / "run").fit(resume=True)


def test_a_timm_teacher() -> None:
    parts = build(loss__teacher__source="vit_fm_base", loss__teacher__pretrained=False)
    assert build_trainer(parts).fit().steps == 2


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
        build_trainer(build(**changes))
