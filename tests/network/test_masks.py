from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from snnet.data import normalized_pixels, open_dataset
from snnet.errors import DataError
from snnet.network import MapPrediction, MaskPrediction, Prediction, SNNet, palette
from snnet.space import Stitch
from snnet.tasks import Depth, build_task
from tests.helpers.mapped import CLASSES, build_dense_net

STITCH = Stitch("0:0-2")


@pytest.fixture(scope="module")
def net() -> SNNet:
    return build_dense_net()


def photo(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def mask_of(net: SNNet, picture: object) -> MaskPrediction:
    found = net.predict(picture, STITCH)  # type: ignore[arg-type]
    assert isinstance(found, MaskPrediction)
    return found


@pytest.mark.parametrize("size", [(28, 28), (56, 84), (90, 61)])
def test_the_mask_has_the_size_of_the_picture(net: SNNet, size: tuple[int, int]) -> None:
    picture = photo(*size)
    found = mask_of(net, picture)
    pixels = torch.from_numpy(normalized_pixels(picture, net.input, whole=True))
    assert torch.equal(net.transform(picture), pixels)
    with torch.no_grad():
        probabilities = net(pixels[None], STITCH).softmax(1)
    expected = interpolate(probabilities, size=size, mode="bilinear", align_corners=False)[0].argmax(0).numpy()
    assert found.mask.shape == size and found.mask.dtype == np.uint8
    assert (found.mask == expected).mean() > 0.999  # where two classes are equal to the last digits
    assert sum(each.share for each in found.shares) == pytest.approx(1)
    _, name, share = found.shares[0]
    assert name in CLASSES and share == pytest.approx((expected == CLASSES.index(str(name))).mean(), abs=1e-3)


def test_the_whole_picture_is_seen_and_laid_upright(net: SNNet) -> None:
    picture = photo(30, 60)
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    exif = lying.getexif()
    exif[0x0112] = 6  # to be turned back
    assert lying.size == (30, 60)
    lying.info["exif"] = exif.tobytes()
    found = mask_of(net, lying)
    assert found.mask.shape == (30, 60) and np.array_equal(found.mask, mask_of(net, picture).mask)


def test_several_pictures_and_arrays(net: SNNet) -> None:
    images = torch.randn(2, 1, 28, 28)
    found = net.predict(images, STITCH)
    assert isinstance(found, list) and all(isinstance(one, MaskPrediction) for one in found)
    assert [one.mask.shape for one in found] == [(28, 28)] * 2  # type: ignore[union-attr]
    assert np.array_equal(found[1].mask, mask_of(net, images[1]).mask)  # type: ignore[union-attr]
    with torch.no_grad():
        expected = net(images, STITCH).argmax(1).numpy()
    assert np.array_equal(np.stack([one.mask for one in found]), expected)  # type: ignore[union-attr]


def test_a_mask_is_saved_with_colors_that_stand_for_its_numbers(net: SNNet, tmp_path: Path) -> None:
    found = mask_of(net, photo(50, 40))
    path = found.save(tmp_path / "deep" / "mask.png")
    with Image.open(path) as read:
        assert read.mode == "P" and np.array_equal(np.asarray(read), found.mask)
        assert read.getpalette()[:15] == [part for color in palette(5) for part in color]  # type: ignore[index]
    voc = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 12: (64, 0, 128), 15: (192, 128, 128), 20: (0, 64, 128)}
    assert {number: palette(21)[number] for number in voc} == voc
    assert len(set(palette(256))) == 256
    with pytest.raises(DataError, match=r"does not end with \.png"):
        found.save(tmp_path / "mask.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        found.save(tmp_path / "file" / "mask.png")
    many = MaskPrediction(STITCH, np.array([[299, 0]]), 300)
    with Image.open(many.save(tmp_path / "many.png")) as read:
        assert np.asarray(read).tolist() == [[299, 0]]


def test_depths_are_made_positive_and_saved_with_their_scale(tmp_path: Path) -> None:
    net = build_dense_net()
    net.set_head("linear", 1, task=Depth())
    pixels = torch.randn(1, 28, 28)
    found = net.predict(pixels, STITCH)
    assert isinstance(found, MapPrediction)
    with torch.no_grad():
        expected = Depth().depths(net(pixels[None], STITCH))[0].numpy()
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)
    larger = net.predict(photo(56, 70), STITCH)
    assert isinstance(larger, MapPrediction) and larger.values.shape == (56, 70)
    with Image.open(found.save(tmp_path / "depth.png")) as read:
        assert read.text["scale"] == "256"  # type: ignore[attr-defined]
        np.testing.assert_allclose(np.asarray(read) / 256, expected, atol=0.5 / 256 + 1e-6)
    assert np.array_equal(np.load(found.save(tmp_path / "depth.npy")), found.values)
    far = MapPrediction(STITCH, np.array([[1.0, 1000.0, np.nan, -3.0]], np.float32))
    with pytest.raises(DataError, match=r"up to 1000 at 256 steps .* do not fit 16 bits"):
        far.save(tmp_path / "far.png")
    with Image.open(far.save(tmp_path / "far.png", scale=10)) as read:
        assert np.asarray(read).tolist() == [[10, 10000, 0, 0]]
    with pytest.raises(DataError, match="one number for each pixel"):
        MapPrediction(STITCH, np.zeros((2, 3, 3), np.float32)).save(tmp_path / "two.png")


def test_tasks_without_pixels(tiny_net: SNNet) -> None:
    image = torch.randn(1, 28, 28)
    with torch.no_grad():
        outputs = tiny_net(image[None], 0)[0]
    tiny_net.task = build_task("multilabel")
    found = tiny_net.predict(image, 0)
    assert isinstance(found, Prediction)
    np.testing.assert_allclose(found.probabilities, outputs.double().sigmoid().numpy(), atol=1e-7)
    tiny_net.task = build_task("embedding")
    found = tiny_net.predict(image, 0)
    assert isinstance(found, MapPrediction)
    np.testing.assert_allclose(found.values, outputs.numpy(), atol=1e-7)


def test_scenes_come_whole(net: SNNet) -> None:
    data = open_dataset("scenes", split="validation", input=net.input, target="mask")
    image, target = data[0]
    found = net.predict(image, STITCH)
    assert isinstance(found, MaskPrediction) and found.mask.shape == tuple(target.shape)
