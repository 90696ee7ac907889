from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

from snnet.data import Augmentation, ImageDataset, TensorImages, calibration_images, labelled_images, open_dataset
from snnet.errors import DataError
from snnet.space import InputSpec
from tests.data.image_files import truncate


@pytest.fixture
def uneven() -> TensorImages:
    """40 images of class 0, 10 of class 1, 2 of class 2, with the label as the pixel."""
    labels = torch.tensor([0] * 40 + [1] * 10 + [2] * 2)
    return TensorImages(labels.float().view(-1, 1, 1, 1), labels, ["a", "b", "c"])


@pytest.mark.parametrize(("count", "each"), [(3, [1, 1, 1]), (9, [4, 3, 2]), (30, [18, 10, 2]), (99, [40, 10, 2])])
def test_classes_are_balanced_as_far_as_they_go(uneven: TensorImages, count: int, each: list[int]) -> None:
    chosen = calibration_images(uneven, count).flatten().long()
    images, labels = labelled_images(uneven, count)
    assert torch.equal(images.flatten().long(), chosen) and torch.equal(labels, chosen)
    counts = torch.bincount(chosen, minlength=3).tolist()
    assert len(chosen) == min(count, 52)
    assert counts == each or (count == 9 and sorted(counts) == [2, 3, 4])


def test_the_choice_depends_on_the_seed_alone(grey: InputSpec) -> None:
    data = open_dataset("embedded", input=grey)
    first, again, other = (calibration_images(data, 20, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_images_are_clean_and_damaged_ones_passed_over(root: Path, rgb: InputSpec) -> None:
    truncate(root / "train" / "cat" / "2.jpg")
    augmented = open_dataset("folder", root, input=rgb, augment=Augmentation())
    assert isinstance(augmented, ImageDataset)
    images = calibration_images(augmented, 12)
    clean = [augmented.clean()[i][0] for i in range(12) if i != 2]
    assert images.shape == (11, *rgb.size)
    assert all(any(torch.equal(image, one) for one in clean) for image in images)
    assert len(augmented.skipped) == 1


def test_other_peoples_data_sets_are_shuffled() -> None:
    data = TensorDataset(torch.arange(20.0).view(-1, 1, 1, 1), torch.zeros(20))
    chosen = calibration_images(data, 5).flatten()
    assert len(chosen.unique()) == 5


def test_no_image_is_refused(uneven: TensorImages) -> None:
    with pytest.raises(DataError, match="There is no calibration image: 0 were asked for, of 20 images"):
        calibration_images(TensorDataset(torch.zeros(20, 1), torch.zeros(20)), 0)
