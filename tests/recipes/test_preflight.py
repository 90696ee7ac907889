from pathlib import Path
from typing import Any

import pytest

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.errors import DataError, RecipeError, SNNetError
from snnet.recipes import Recipe, open_run
from snnet.recipes.preflight import Faults, check_start
from tests.data.image_files import write_split
from tests.recipes.small import SMALL, build

CNN = {"network__anchors": list(EMBEDDED_FAMILIES["cnn"]), "loss__teacher": None}


def refusal(directory: Path, **changes: Any) -> str:
    overrides = {**SMALL, **{name.replace("__", "."): value for name, value in changes.items()}}
    with pytest.raises(SNNetError) as caught, open_run(Recipe.load("embedded_vit", overrides), directory):
        raise AssertionError("it was begun")
    return str(caught.value)


def test_all_faults_are_told_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = refusal(
        tmp_path / "file" / "run",
        run__device="tpu",
        run__trackers=["nothing"],
        data__batch_size=20_001,
        augment__mix__mixup=0.8,
        loss__teacher__checkpoint="teacher.pth",
        sampler__options={"share": 7},
        evaluation__every=2,
        run__sharding="fsdp",
    )
    words = (
        "8 faults",
        "'tpu'",
        "'nothing'",
        f"{tmp_path / 'file'} is a file",
        "--data.batch-size 10000",
        "give 20002",
    )
    for word in (*words, "Nothing reads --loss.teacher.checkpoint teacher.pth", "--evaluation.every"):
        assert word in told, told
    told = refusal(tmp_path / "new", sampler__options={"share": 7}, run__steps=None, run__epochs=0.0001)
    assert "2 faults" in told and "share" in told and "set run.epochs higher" in told
    assert not (tmp_path / "new").exists()


def test_faults_of_the_network_come_with_a_missing_folder(tmp_path: Path) -> None:
    told = refusal(tmp_path / "run", network__anchors=["vit_fm_tinny", "vit_fm_small"], data__name="folder")
    assert "2 faults" in told and "vit_fm_tiny" in told and "--data.root is None" in told


@pytest.mark.parametrize(
    ("freeze", "batch", "is_refused"), [("nothing", 1, True), ("nothing", 2, False), ("anchors", 1, False)]
)
def test_a_batch_norm_does_not_learn_from_one_image(freeze: str, batch: int, is_refused: bool) -> None:
    changes = {**CNN, "optim__freeze": freeze, "data__batch_size": batch, "sampler__name": "uniform"}
    if not is_refused:
        assert len(build(**changes).train) == 10_000 // batch
        return
    with pytest.raises(RecipeError, match=r"batch norm .* give batch_size=2 \(--data.batch-size 2\) or more"):
        build(**changes)


def test_every_process_needs_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    faults = check_start(Recipe.load("embedded_vit", {**SMALL, "data.batch_size": 3}))
    with pytest.raises(RecipeError, match=r"3 images cannot be divided over 4 processes: give --data.batch-size 4"):
        faults.refuse()
    check_start(Recipe.load("embedded_vit", {**SMALL, "data.batch_size": 4})).refuse()
    enough = r"one of 4 processes no more: give batch_size=8 \(--data.batch-size 8\) or more"
    with pytest.raises(RecipeError, match=enough):
        build(**CNN, data__batch_size=4, sampler__name="uniform")


def test_options_of_a_sampler_that_draws_by_scores_are_checked_before_there_are_any() -> None:
    by_need = {"sampler__name": "weighted", "sampler__options": {"by": "need", "share": 7}}
    with pytest.raises(RecipeError, match="share"):
        build(**by_need)


def test_a_teacher_that_does_not_exist_is_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    assert "no_such_model" in refusal(tmp_path / "run", loss__teacher__source="no_such_model")
    model = {"loss.teacher.source": "vit_fm_base", "loss.teacher.checkpoint": "gone.pth"}
    with pytest.raises(RecipeError, match=r"loss\.teacher\.checkpoint gone\.pth does not exist"):
        check_start(Recipe.load("embedded_vit", {**SMALL, **model})).refuse()


def test_a_single_fault_keeps_its_kind_and_others_errors_pass() -> None:
    faults = Faults()
    faults.refuse()
    with faults:
        raise DataError("no images")
    with pytest.raises(DataError, match=r"^no images$"):
        faults.refuse()
    with pytest.raises(ZeroDivisionError), faults:
        raise ZeroDivisionError


def test_an_output_among_the_images_is_refused_before_it_is_made(tmp_path: Path) -> None:
    write_split(tmp_path)
    told = refusal(tmp_path / "run", data__name="folder", data__root=str(tmp_path), data__batch_size=4)
    assert "would be taken for one of them" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat", "dog"]
