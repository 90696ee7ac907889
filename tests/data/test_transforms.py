import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from snnet.data import Augmentation, CleanTransform, train_transform
from snnet.data.seeding import seeded
from snnet.errors import DataError, RecipeError
from snnet.space import InputSpec


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))


def test_the_clean_transform_is_timms(rgb: InputSpec, image: Image.Image) -> None:
    timms = create_transform(
        rgb.size, mean=rgb.mean, std=rgb.std, interpolation=rgb.interpolation, crop_pct=rgb.crop_pct
    )
    assert torch.equal(CleanTransform(rgb)(image), timms(image))


def test_a_color_image_becomes_grey_and_a_grey_one_becomes_rgb(
    rgb: InputSpec, grey: InputSpec, image: Image.Image
) -> None:
    same = replace(grey, size=(1, 40, 50))
    expected = (torch.tensor(np.asarray(image.convert("L"))) / 255 - 0.286) / 0.353
    torch.testing.assert_close(CleanTransform(same)(image)[0], expected)
    assert CleanTransform(rgb)(image.convert("L")).shape == (3, 32, 32)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_read(rgb: InputSpec, mode: str, image: Image.Image) -> None:
    grey16 = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    given = grey16 if mode == "I;16" else image.convert(mode)
    assert given.mode == mode
    assert CleanTransform(rgb)(given).isfinite().all()


def test_sixteen_bits_are_scaled_not_clipped(grey: InputSpec, image: Image.Image) -> None:
    eight = image.convert("L")
    sixteen = Image.fromarray(np.asarray(eight).astype(np.uint16) * 257)
    assert torch.equal(CleanTransform(grey)(sixteen), CleanTransform(grey)(eight))


@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_depends_on_the_seed_alone(
    rgb: InputSpec, grey: InputSpec, image: Image.Image, channels: int
) -> None:
    spec = rgb if channels == 3 else grey
    transform = train_transform(spec, Augmentation(re_prob=1.0))
    random.seed(0)
    results = []
    for seed in (1, 1, 2):
        with seeded(seed):
            results.append(transform(image))
    assert results[0].shape == spec.size
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_other_channels_are_refused(rgb: InputSpec) -> None:
    with pytest.raises(DataError, match=r"take 4 channels; image data sets give 1 \(grey\) or 3 \(RGB\)"):
        CleanTransform(replace(rgb, size=(4, 32, 32)))


def test_a_setting_that_timm_refuses_is_named(rgb: InputSpec) -> None:
    with pytest.raises(RecipeError, match=r"timm refuses the augmentation .*'auto_augment': 'nonsense'"):
        train_transform(rgb, Augmentation(auto_augment="nonsense"))
