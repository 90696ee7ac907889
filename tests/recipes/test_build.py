from pathlib import Path

import pytest
import torch

from snnet.data import TensorImages
from snnet.errors import DataError, RecipeError
from snnet.profiling import count_costs, step_macs
from snnet.recipes import build_trainer
from tests.conftest import build_tiny_net
from tests.data.image_files import truncate, write_split
from tests.recipes.small import build


def test_the_same_recipe_builds_the_same_network() -> None:
    one, other = (build(network__new_heads=True, loss__teacher=None).net.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_choice_of_validation_images_is_fixed() -> None:
    one, other = (build(run__seed=seed).validation.dataset for seed in (0, 1))
    assert isinstance(one, TensorImages) and isinstance(other, TensorImages)
    assert len(one) == 16 and torch.equal(one.images, other.images)


def test_a_new_classifier_must_not_be_frozen() -> None:
    with pytest.raises(RecipeError, match=r"fresh classifiers, for the recipe .*optim\.freeze is 'smallest-anchor'"):
        build(network__new_heads=True, loss__teacher=None, optim__freeze="smallest-anchor")
    assert build_trainer(build(network__new_heads=True, loss__teacher=None))


def test_a_saved_network_is_taken_as_it_is(tmp_path: Path) -> None:
    net = build_tiny_net()
    net.save_pretrained(tmp_path / "net")
    changes = {"network.anchors": [], "network.pretrained": True, "network.saved": str(tmp_path / "net")}
    parts = build(**changes)
    assert parts.net.space == net.space
    write_split(tmp_path / "train")
    write_split(tmp_path / "val", per_class=2)
    with pytest.raises(DataError, match="2 classes"):
        build(**changes, data__name="folder", data__root=str(tmp_path))


def test_a_choice_of_validation_images_keeps_to_the_limit_of_corrupt_ones(tmp_path: Path) -> None:
    write_split(tmp_path / "train")
    for path in write_split(tmp_path / "val").rglob("*.*"):
        truncate(path)
    folder = {"data__name": "folder", "data__root": str(tmp_path), "data__batch_size": 4, "loss__teacher": None}
    parts = build(**folder, data__max_corrupt=1, evaluation__images=6)
    with pytest.raises(DataError, match=r"6 of 6 images do not decode, more than max_corrupt=1: .*val/"):
        list(parts.validation)
    parts = build(**folder, data__max_corrupt=6, evaluation__images=6)
    with pytest.raises(DataError, match="None of the 6 images decodes"):
        list(parts.validation)
    assert len(parts.validation.skipped) == 6


def test_small_images_of_any_reader_are_padded_and_cropped(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_split(tmp_path / split, per_class=4)
    folder = {"data__name": "folder", "data__root": str(tmp_path), "data__batch_size": 8, "loss__teacher": None}
    varied = {"augment__image": None, "augment__batch__pad": 3, "augment__batch__flip": False}
    plain, moved = (build(**folder, **changes).train for changes in ({"augment__batch": None}, varied))
    ((before, labels),), ((after, same),) = (list(batches.epoch(0)) for batches in (plain, moved))
    assert torch.equal(labels, same) and not torch.equal(before, after)
    fill = moved.augment.fill if moved.augment else None
    padded = torch.nn.functional.pad(before, (3,) * 4, value=fill or 0.0)
    for image, frame in zip(after, padded, strict=True):
        crops = (frame[0, top : top + 28, left : left + 28] for top in range(7) for left in range(7))
        assert any(torch.equal(image[0], crop) for crop in crops)


def test_multiply_adds_are_counted_once_for_the_sketch_and_hold_for_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counted = []
    monkeypatch.setattr("snnet.recipes.parts.step_macs", lambda net: counted.append(net) or step_macs(net))
    parts = build(sampler__name="macs-buckets", network__lora_rank=2)
    build_trainer(parts, tmp_path)
    assert len(counted) == 1 and counted[0] is not parts.net
    found, expected = parts.count_costs(), count_costs(build(network__lora_rank=2).net)
    assert len(counted) == 1
    assert [dict(row.values) for row in found] == [dict(row.values) for row in expected]
