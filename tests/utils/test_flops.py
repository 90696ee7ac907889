import torch
from torch import nn

from snnet.utils import count_macs


def test_known_layers_count_as_by_hand() -> None:
    module = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4, bias=False))
    assert count_macs(module, torch.empty(3, 8)) == 3 * 8 * 16 + 5 * 3 * 16 + 3 * 16 * 4
    assert next(module.parameters()).device.type == "cpu"


def test_convolutions_count_per_output_pixel() -> None:
    assert count_macs(nn.Conv2d(3, 5, 3, padding=1), torch.empty(2, 3, 7, 7)) == 2 * 7 * 7 * 5 * 3 * 9
