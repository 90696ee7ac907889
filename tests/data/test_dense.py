from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from snnet.data import Augmentation, CleanPair, CleanTransform, DenseAugmentation
from snnet.data.corrupt import CorruptImageError
from snnet.data.dense import transforms_of
from snnet.data.seeding import seeded
from snnet.errors import DataError, RecipeError
from snnet.space import InputSpec

PLAIN = InputSpec((1, 32, 32), (0.0,), (1 / 255,), "nearest", 1.0)
"""Normalized pixels are those of the picture."""


def pair(height: int = 40, width: int = 50) -> tuple[Image.Image, Tensor]:
    """A picture whose pixels are the classes of its mask."""
    classes = np.random.default_rng(height * width).integers(0, 200, (height, width), dtype=np.uint8)
    return Image.fromarray(classes), torch.from_numpy(classes.astype(np.int64))


@pytest.mark.parametrize("shape", [(40, 50), (97, 31), (32, 32), (5, 90), (36, 37)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40), (41, 17)])
@pytest.mark.parametrize("crop", [0.875, 1.0])
def test_a_mask_lies_where_its_picture_does(shape: tuple[int, int], size: tuple[int, int], crop: float) -> None:
    """Pixels and classes are both the number of their row, or column; by Pillow and by ours."""
    for places in np.indices(shape):
        picture, mask = Image.fromarray(places.astype(np.uint8)), torch.from_numpy(places)
        pixels, found = CleanPair(replace(PLAIN, size=(1, *size), crop_pct=crop))(picture, mask)
        assert found.shape == size and found.dtype == torch.int64
        inside = found != 255
        assert inside.float().mean() > 0.9
        assert not pixels[0][~inside].any()
        # Right between two pixels Pillow may round otherwise.
        apart = (pixels[0] - found)[inside].abs().round()
        assert apart.max() <= 1 and apart.mean() < 0.1


def test_the_picture_is_that_of_the_clean_transform(rgb: InputSpec) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    pixels, depth = CleanPair(rgb)(picture, torch.rand(40, 50))
    assert torch.equal(pixels, CleanTransform(rgb)(picture))
    assert depth.shape == (32, 32) and depth.dtype == torch.float32 and depth.min() > 0


def test_pictures_are_turned_before_they_are_compared(rgb: InputSpec) -> None:
    picture = Image.new("RGB", (50, 40))
    picture.getexif()[0x0112] = 6
    turned, flat = torch.zeros(50, 40).long(), torch.zeros(40, 50).long()
    assert CleanPair(rgb)(picture, turned)[1].shape == (32, 32)
    assert CleanPair(rgb, upright=False)(picture, flat)[1].shape == (32, 32)
    for transform, mask in ((CleanPair(rgb), flat), (CleanPair(rgb, upright=False), turned)):
        with pytest.raises(CorruptImageError, match=r"A picture \(of 40x50 pixels, .* 50x40\)|of 50x40 .* 40x50"):
            transform(picture, mask)


@pytest.mark.parametrize("scale", [(0.5, 2.0), (0.5, 0.5), (1.0, 1.0), (1.7, 1.7)])
def test_pictures_and_masks_are_varied_alike(scale: tuple[float, float]) -> None:
    """In areas of one class that are large enough the pixels tell the class, wherever they went."""
    blocks = torch.arange(1, 7).view(2, 3).repeat_interleave(40, 0).repeat_interleave(40, 1) * 30
    picture = Image.fromarray(blocks.numpy().astype(np.uint8))
    vary, _ = transforms_of("mask", PLAIN, DenseAugmentation(scale=scale, color_jitter=0.0))
    mirrored = 0
    for seed in range(20):
        with seeded(seed):
            pixels, mask = vary(picture, blocks)  # type: ignore[call-arg, misc]
        assert pixels.shape == (1, 32, 32) and mask.shape == (32, 32)
        assert type(pixels) is type(mask) is Tensor and mask.dtype == torch.int64
        known = mask != 255
        assert set(mask[known].unique().tolist()) <= set(blocks.unique().tolist())
        assert (pixels[0][~known] == 0).all()
        # Pixels between two classes are mixed.
        assert ((pixels[0] - mask).abs()[known] < 1).float().mean() > 0.6
        row = mask[16][known[16]]
        mirrored += bool(len(row.unique()) > 1 and row[0] > row[-1])
    assert scale[0] > 1 or 3 < mirrored < 17


def test_colors_vary_in_the_picture_alone() -> None:
    picture, mask = pair(32, 32)
    vary, clean = transforms_of("mask", PLAIN, DenseAugmentation(scale=(1.0, 1.0), hflip=0.0))
    pixels, found = vary(picture, mask)  # type: ignore[call-arg, misc]
    assert torch.equal(found, mask)
    assert not torch.allclose(pixels, clean(picture, mask)[0], atol=0.5)  # type: ignore[call-arg, misc]


def test_what_is_uncovered_has_no_known_depth_and_the_mean_color(rgb: InputSpec) -> None:
    vary, _ = transforms_of("depth", rgb, DenseAugmentation(scale=(0.5, 0.5), color_jitter=0.0))
    pixels, depth = vary(Image.new("RGB", (64, 64), "white"), torch.ones(64, 64))  # type: ignore[call-arg, misc]
    assert set(depth.unique().tolist()) == {0.0, 1.0}
    assert pixels[:, depth == 0].abs().max() < 0.02
    assert pixels[:, depth == 1].min() > 1


def test_the_wrong_augmentation_or_settings_are_refused(rgb: InputSpec) -> None:
    with pytest.raises(RecipeError, match="kind 'mask' are varied by DenseAugmentation, not Augmentation"):
        transforms_of("mask", rgb, Augmentation())
    with pytest.raises(RecipeError, match="kind 'label' are varied by Augmentation, not DenseAugmentation"):
        transforms_of("label", rgb, DenseAugmentation())
    with pytest.raises(RecipeError, match=r"scale: must be two numbers above 0, the smaller .* got \(2.0, 1.0\)"):
        DenseAugmentation(scale=(2.0, 1.0))
    with pytest.raises(DataError, match="take 4 channels"):
        CleanPair(replace(rgb, size=(4, 32, 32)))
