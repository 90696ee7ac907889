import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.ops import masks_to_boxes

from snnet.data import SceneSource
from snnet.detection import DetectionScenes, collate


def test_targets_are_what_torchvision_makes_of_the_masks() -> None:
    source = SceneSource("validation", count=6)
    data = DetectionScenes(source)
    for index, (image, target) in enumerate(data):
        assert image.shape == (1, 56, 56) and image.min() >= 0 and image.max() <= 1
        corners = masks_to_boxes(target["masks"])
        corners[:, 2:] += 1  # the edges of pixels, where torchvision has the last pixel itself
        assert torch.equal(target["boxes"], corners)
        seen = target["masks"].long() * target["labels"][:, None, None]
        np.testing.assert_array_equal(seen.sum(0), source.read(index)[1])
        assert target["labels"].min() >= 1 and target["labels"].max() <= 10
    assert index == len(data) - 1 == 5
    with pytest.raises(IndexError, match="no scene 6 of 6"):
        data[6]


def test_batches_are_two_lists() -> None:
    loader = DataLoader(DetectionScenes(SceneSource(count=4)), batch_size=3, collate_fn=collate)
    (images, targets), (last, _) = loader
    assert [image.shape for image in images] == [(1, 56, 56)] * 3 and len(targets) == 3 and len(last) == 1
