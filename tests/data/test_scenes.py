import numpy as np
import pytest
import torch
from PIL import Image

from snnet.data import (
    BatchAugment,
    DenseAugmentation,
    ImageDataset,
    SceneSource,
    TensorImages,
    TrainBatches,
    calibration_images,
    open_dataset,
    open_pair,
    target_of,
)
from snnet.data.calibration import labelled_images
from snnet.data.embedded import garments
from snnet.data.scenes import _composed, _cut_from
from snnet.errors import DataError, RecipeError
from snnet.space import InputSpec

SPEC = InputSpec((1, 56, 56), (0.286,), (0.353,), "bilinear", 1.0)


def test_scenes_are_opened_by_name_with_masks() -> None:
    train, validation = open_pair("scenes/40", input=SPEC, target="mask")
    assert isinstance(train, TensorImages) and isinstance(validation, TensorImages)
    assert (len(train), len(validation)) == (40, 10)
    assert train.classes == ("ground", *garments("train")[2]) and len(train.classes) == 11
    assert train.images.shape == (40, 1, 56, 56) and train.images.dtype == torch.float32
    assert train.labels.shape == (40, 56, 56) and train.labels.dtype == torch.int64
    assert train.labels.unique().tolist() == list(range(11))
    assert target_of(train) == "mask"


def test_scenes_are_opened_by_name_with_depth() -> None:
    train, validation = open_pair("scenes/8", input=SPEC, target="depth", num_classes=1)
    assert isinstance(train, TensorImages) and train.classes == validation.classes == ()
    assert train.labels.dtype == torch.float32 and target_of(train) == "depth"
    assert 0.7 < train.labels.min() < 1.7 and train.labels.max() == 3


def test_there_are_4000_and_1000_by_default() -> None:
    assert len(SceneSource("train")) == 4000
    assert len(SceneSource("validation")) == 1000
    assert SceneSource("train").size == (56, 56)


def test_all_in_memory_are_each_alone_and_composed_once() -> None:
    for target in ("mask", "depth"):
        source = SceneSource("train", target=target, count=5)  # type: ignore[arg-type]
        held = source.in_memory((56, 56))
        assert held is not None and source.in_memory((56, 40)) is None
        for index in range(5):
            image, found = source.read(index)
            same, other = held.read(index)
            assert np.array_equal(np.asarray(image), np.asarray(same))
            assert isinstance(other, torch.Tensor) and torch.equal(found.to(other.dtype), other)
    before = _composed.cache_info().misses
    assert SceneSource("train", count=5).in_memory((56, 56)) is not None
    assert _composed.cache_info().misses == before


def test_a_scene_is_a_function_of_seed_split_and_place() -> None:
    source = SceneSource("train")
    assert np.array_equal(source.scene(7).pixels, SceneSource("train", count=9, target="depth").scene(7).pixels)
    others = [SceneSource("train", seed=1).scene(7), SceneSource("validation").scene(7), source.scene(8)]
    assert not any(np.array_equal(source.scene(7).pixels, other.pixels) for other in others)
    torch.rand(1)
    np.random.rand(1)
    assert np.array_equal(source.scene(7).numbers, SceneSource("train").scene(7).numbers)


def test_splits_have_garments_of_their_own() -> None:
    for split in ("train", "validation"):
        assert np.array_equal(_cut_from(split).pixels, garments(split)[0].numpy())
        assert np.array_equal(_cut_from(split).labels, garments(split)[1])


def test_larger_than_memory_may_hold_are_composed_when_they_are_read() -> None:
    spec = InputSpec((3, 320, 480), (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0)
    data = open_dataset("scenes", input=spec, target="mask")
    assert isinstance(data, ImageDataset) and data.labels is None
    image, mask = data[3]
    assert image.shape == (3, 320, 480) and isinstance(mask, torch.Tensor) and mask.shape == (320, 480)
    assert torch.equal(mask, SceneSource("train", (320, 480)).read(3)[1])
    source = data.source
    assert isinstance(source, SceneSource)
    assert torch.equal(image[0], torch.from_numpy(source.scene(3).pixels).float() / 255 * 2 - 1)


def test_varied_scenes_resume_exactly_with_any_workers() -> None:
    data = open_dataset("scenes/16", input=SPEC, target="mask", augment=DenseAugmentation())
    whole = list(TrainBatches(data, 4, 2).epoch(1))
    assert len(whole) == 4
    for workers in (0, 2):
        rest = list(TrainBatches(data, 4, 2, workers=workers).epoch(1, 2))
        for (images, masks), (same, others) in zip(whole[2:], rest, strict=True):
            assert torch.equal(images, same) and torch.equal(masks, others)


def test_calibration_images_are_drawn_alike_with_their_targets() -> None:
    data = open_dataset("scenes/16", input=SPEC, target="mask")
    images, masks = labelled_images(data, 5)
    assert images.shape == (5, 1, 56, 56) and masks.shape == (5, 56, 56)
    varied = open_dataset("scenes/16", input=SPEC, target="mask", augment=DenseAugmentation())
    again, same = labelled_images(varied, 5)
    torch.testing.assert_close(again, images)
    assert torch.equal(same, masks)
    assert torch.equal(calibration_images(data, 5), images)


def test_whole_batches_are_moved_with_their_masks() -> None:
    data = open_dataset("scenes/16", input=SPEC, target="mask")
    for images, masks in TrainBatches(data, 4, augment=BatchAugment(pad=6, fill=9.0)).epoch(0):
        assert torch.equal(images[:, 0] == 9, masks == 255)


@pytest.mark.parametrize("name", ["scenes/many", "scenes/3", "scenes/-8"])
def test_a_number_that_is_none(name: str) -> None:
    with pytest.raises(DataError, match=rf"Unknown data set '{name}'; give 'scenes/COUNT' .* 4 or more"):
        open_dataset(name, input=SPEC, target="mask")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"scenes has no targets of kind 'label'; .* target='mask' or .*'depth'"):
        open_dataset("scenes", input=SPEC)
    with pytest.raises(DataError, match=r"embedded has no targets of kind 'mask'; open it with target='label'\."):
        open_dataset("embedded", input=SPEC, target="mask")
    with pytest.raises(DataError, match=r"take no root, got /tmp; leave it out"):
        open_dataset("scenes", "/tmp", input=SPEC, target="mask")
    with pytest.raises(RecipeError, match=r"kind: .*got 'masks'"):
        open_dataset("scenes", input=SPEC, target="masks")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"has 11 classes .* but the network has 10"):
        open_dataset("scenes/4", input=SPEC, target="mask", num_classes=10)


def test_pictures_show_what_the_arrays_hold() -> None:
    image, mask = SceneSource("validation", (40, 30)).read(0)
    assert isinstance(image, Image.Image) and image.mode == "L" and image.size == (30, 40)
    assert mask.shape == (40, 30) and mask.dtype == torch.int64
