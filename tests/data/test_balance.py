import pytest
import torch

from snnet.data import TensorImages, class_weights, open_dataset
from snnet.errors import DataError
from snnet.space import InputSpec


def test_weights_are_by_median_frequency() -> None:
    masks = torch.zeros(3, 4, 5, dtype=torch.long)
    masks[0, :2] = 1
    masks[1, 0, 0] = 2
    masks[1, 3] = 255
    data = TensorImages(torch.zeros(3, 1, 4, 5), masks, list("abcd"))
    # 0: 10 of 20, 14 of 15 and 20 of 20 pixels; 1: 10 of 20; 2: 1 of 15; 3 never occurs.
    frequencies = torch.tensor([44 / 55, 10 / 20, 1 / 15])
    weights = class_weights(data, 4)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, torch.cat([0.5 / frequencies, torch.ones(1)]))
    torch.testing.assert_close(class_weights(list(data), 4), weights)  # type: ignore[arg-type]


def test_rare_garments_weigh_more_than_the_ground() -> None:
    spec = InputSpec((1, 56, 56), (0.286,), (0.353,), "bilinear", 1.0)
    weights = class_weights(open_dataset("scenes/40", input=spec, target="mask"), 11)
    assert weights.argmin() == 0 and weights[0] < 0.5 < weights[1:].median()


def test_without_any_pixel_all_weigh_one() -> None:
    data = TensorImages(torch.zeros(2, 1, 3, 3), torch.full((2, 3, 3), 255), list("ab"))
    assert class_weights(data, 2).tolist() == [1, 1]


def test_what_is_no_mask_is_refused() -> None:
    images = torch.zeros(2, 1, 3, 3)
    with pytest.raises(DataError, match=r"need masks \(B, H, W\), whole numbers, got torch.float32"):
        class_weights(TensorImages(images, torch.ones(2, 3, 3), []), 2)
    with pytest.raises(DataError, match=r"need masks"):
        class_weights(TensorImages(images, torch.zeros(2).long(), []), 2)
    with pytest.raises(DataError, match=r"A mask has classes 0 to 3; accepted: 0 to 1"):
        class_weights(TensorImages(images, torch.tensor([0, 3, 1]).expand(2, 3, 3), []), 2)
