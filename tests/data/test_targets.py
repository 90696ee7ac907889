import numpy as np
import pytest
import torch
from torch import Tensor

from snnet.data import IGNORED, UNKNOWN, TargetSettings, TensorImages
from snnet.data.targets import is_dense, stacked, target_kind, unseen
from snnet.errors import RecipeError


def test_a_name_alone_stands_for_settings() -> None:
    assert TargetSettings.model_validate("mask") == TargetSettings(kind="mask")
    with pytest.raises(RecipeError, match=r"kind: should be .*, got 'maks'\. Did you mean 'mask'"):
        TargetSettings(kind="maks")


@pytest.mark.parametrize(
    ("targets", "kind", "missing"),
    [
        (torch.zeros(3, dtype=torch.long), "label", IGNORED),
        (torch.zeros(3, 2, 2, dtype=torch.uint8), "mask", IGNORED),
        (torch.zeros(3, 2, 2), "depth", UNKNOWN),
    ],
)
def test_kinds_are_told_by_shape_and_type(targets: Tensor, kind: str, missing: float) -> None:
    assert target_kind(targets) == kind
    assert is_dense(targets) == (kind != "label")
    assert unseen(targets) == missing


def test_single_targets_become_those_of_a_batch() -> None:
    assert torch.equal(stacked([3, torch.tensor(4)]), torch.tensor([3, 4]))
    masks = [torch.full((2, 3), number) for number in range(2)]
    assert torch.equal(stacked(masks), torch.stack(masks))
    assert stacked([mask.float() for mask in masks]).dtype == torch.float32


def test_targets_of_single_images_keep_their_numbers() -> None:
    assert stacked([1, 2]).tolist() == [1, 2] and stacked([np.int32(1), torch.tensor(2)]).dtype == torch.int64
    for halves in ([0.5, 1.5], [np.float32(0.5), 1.5], [torch.tensor(0.5), torch.tensor(1.5)]):
        assert stacked(halves).tolist() == [0.5, 1.5]
    assert stacked([torch.ones(3), torch.zeros(3)]).shape == (2, 3)
    pair = TensorImages(torch.zeros(2, 1, 4, 4), torch.tensor([0.5, 1.5]), ())
    assert float(pair[1][1]) == 1.5
