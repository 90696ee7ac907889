import pytest
import torch
from torch import nn

from snnet.utils import count_macs, run_on_meta, stand_in


def test_stand_ins_have_shape_and_kind_and_no_values() -> None:
    assert stand_in(torch.zeros(2, 3, dtype=torch.int64)).dtype == torch.int64
    found = stand_in(torch.zeros(2, 3, dtype=torch.bfloat16))
    assert (found.dtype, found.shape, found.is_meta) == (torch.float32, (2, 3), True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_weights_and_images_may_be_of_different_types(dtype: torch.dtype) -> None:
    module = nn.Linear(3, 5).to(dtype)
    output = run_on_meta(module, torch.zeros(2, 3))
    assert output.is_meta and output.shape == (2, 5)


def test_weights_and_statistics_are_untouched() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert not run_on_meta(module, torch.ones(2, 3, 4, 4)).requires_grad
    after = module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_known_layers_count_as_by_hand() -> None:
    module = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4, bias=False))
    assert count_macs(module, torch.empty(3, 8)) == 3 * 8 * 16 + 5 * 3 * 16 + 3 * 16 * 4
    assert next(module.parameters()).device.type == "cpu"


def test_convolutions_count_per_output_pixel() -> None:
    assert count_macs(nn.Conv2d(3, 5, 3, padding=1), torch.empty(2, 3, 7, 7)) == 2 * 7 * 7 * 5 * 3 * 9
