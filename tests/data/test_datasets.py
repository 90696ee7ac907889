from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.data import (
    SOURCES,
    ArraySource,
    Augmentation,
    CleanTransform,
    CorruptImageError,
    DenseAugmentation,
    ImageDataset,
    Request,
    TensorImages,
    open_dataset,
    open_pair,
    target_of,
)
from snnet.errors import DataError
from snnet.space import InputSpec
from tests.data.image_files import truncate


@pytest.fixture
def colors() -> ArraySource:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8))
    return ArraySource(pixels, [0, 1, 2, 0, 1, 2], ["a", "b", "c"])


def test_unknown_names_offer_near_ones(root: Path, rgb: InputSpec) -> None:
    with pytest.raises(DataError, match=r"Unknown data set 'embeded'; accepted: embedded, folder, .*mean 'embedded'"):
        open_dataset("embeded", input=rgb)
    with pytest.raises(DataError, match=rf"'{root}'; it is a folder: open 'folder' with root='{root}'"):
        open_dataset(str(root), input=rgb)
    with pytest.raises(DataError, match=r"Unknown split 'valdation'; accepted: train, validation. Did you mean"):
        open_dataset("folder", root, "valdation", input=rgb)


def test_arrays_are_converted_in_memory_as_pillow_does(colors: ArraySource, rgb: InputSpec) -> None:
    grey = InputSpec((1, 32, 32), (0.5,), (0.25,))
    images = TensorImages.of(colors, grey)
    expected = torch.tensor(np.asarray(Image.fromarray(colors.pixels[2].numpy()).convert("L"))) / 255
    torch.testing.assert_close(images.images[2, 0], (expected - 0.5) / 0.25)
    reference = ImageDataset(colors, CleanTransform(InputSpec(rgb.size, rgb.mean, rgb.std, "bicubic", 1.0)), repr)
    torch.testing.assert_close(TensorImages.of(colors, rgb)[4][0], reference[4][0])


def test_augmentation_is_applied_only_where_asked(root: Path, rgb: InputSpec) -> None:
    train, validation = open_pair("folder", root, input=rgb, augment=Augmentation())
    assert isinstance(train, ImageDataset)
    assert not torch.equal(train[0][0], train[0][0])
    assert torch.equal(train.clean()[0][0], train.clean()[0][0])
    assert torch.equal(validation[0][0], validation[0][0])


def test_a_damaged_image_is_named(root: Path, rgb: InputSpec) -> None:
    path = truncate(root / "train" / "cat" / "0.jpg")
    with pytest.raises(CorruptImageError, match=rf"{path} does not decode \(.*\); repair or remove it"):
        open_dataset("folder", root, input=rgb)[0]


def test_a_data_set_of_ones_own(colors: ArraySource, rgb: InputSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SOURCES, "_entries", dict(SOURCES._entries))

    @SOURCES.register("mine")
    def open_mine(request: Request) -> ArraySource:
        assert request.name == "v2/big"
        classes = ["a", "b", "c"] if request.split == "train" else ["b", "a", "c"]
        return ArraySource(colors.pixels, colors.labels, classes)

    assert len(open_dataset("mine/v2/big", input=rgb, num_classes=3)) == 6
    with pytest.raises(DataError, match=r"other classes for training than for validation: 3 \(a, b, c\) and 3 \(b, a"):
        open_pair("mine/v2/big", input=rgb)


def test_labels_outside_the_classes_are_refused(colors: ArraySource, rgb: InputSpec) -> None:
    source = ArraySource(colors.pixels, [-1] * 6, colors.classes)
    with pytest.raises(DataError, match=r"Label -1 of image 0 is outside 0 to 2; is this split of the data labeled\?"):
        ImageDataset(source, CleanTransform(rgb), CleanTransform(rgb))[0]


def test_turned_or_as_timm_reads_them(root: Path, rgb: InputSpec) -> None:
    for path in (root / "train").rglob("*.jpg"):
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.open(path).save(path, exif=exif, quality=95)
    turned, kept = (open_dataset("folder", root, input=rgb, upright=upright) for upright in (True, False))
    assert not torch.equal(turned[0][0], kept[0][0])
    assert torch.equal(turned[1][0], kept[1][0])  # a PNG, without EXIF data


@pytest.mark.parametrize("target", ["mask", "depth"])
def test_a_source_of_dense_targets_is_read_and_held(
    grey: InputSpec, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = torch.randint(0, 255, (6, 28, 28), dtype=torch.uint8)
    targets = torch.randint(0, 4, (6, 28, 28)).to(torch.uint8 if target == "mask" else torch.float32)
    names = ["a", "b", "c", "d"] if target == "mask" else []

    monkeypatch.setattr(SOURCES, "_entries", dict(SOURCES._entries))

    @SOURCES.register("mine")
    def mine(request: Request) -> ArraySource:
        return ArraySource(pixels, targets, names)

    options: dict[str, Any] = {"input": grey, "target": target}
    held, read = open_dataset("mine", **options), open_dataset("mine", augment=DenseAugmentation(), **options)
    with pytest.raises(DataError, match=f"no targets of kind 'label'; open it with target='{target}'"):
        open_dataset("mine", input=grey)
    assert isinstance(held, TensorImages) and isinstance(read, ImageDataset)
    assert target_of(held) == target_of(read) == target
    assert held.labels.dtype == (torch.int64 if target == "mask" else torch.float32)
    assert torch.equal(held.labels, targets)
    clean = read.clean()
    for place in range(6):
        for one, two in zip(held[place], clean[place], strict=True):
            torch.testing.assert_close(one, two)
    some = held.some([4, 2])
    assert torch.equal(some.labels, held.labels[[4, 2]]) and some.clean() is some
    assert torch.equal(read.clean().some([4, 2])[0][1], held.labels[4])  # type: ignore[arg-type]


def test_labels_of_an_array_may_be_a_tensor() -> None:
    source = ArraySource(torch.zeros(3, 4, 4, dtype=torch.uint8), torch.tensor([2, 0, 1]), ["a", "b", "c"])
    assert source.labels == (2, 0, 1) and source.target == "label" and source.read(0)[1] == 2
