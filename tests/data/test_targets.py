import pytest
import torch
from torch import Tensor

from snnet.data import IGNORED, UNKNOWN, TargetSettings
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
