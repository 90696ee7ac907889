"""Folding keeps the function and takes away batch norms, where one layer feeds one norm and nobody else."""

import pytest
import torch
from torch import nn

from snnet.anchors import batch_norms
from snnet.init import recalibrate
from snnet.network import stitch
from snnet.network.fold_norms import fold_batch_norms
from tests.batch_norm_family import build_conv_net


def unsettled(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for norm in batch_norms([module]):
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        if norm.weight is not None:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
    return module.eval()


class Case(nn.Module):
    """Convolution, then what the test says."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(1, 4, 3)
        self.other = nn.Conv2d(4, 4, 1, bias=False)
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4, affine=how != "plain rows") if "rows" in how else nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.conv(x)
        if self.how == "twice":
            made = self.other(self.other(made))
        elif self.how == "activated":
            made = made.relu()
        elif self.how == "last axis":
            return self.norm(self.linear(made[..., :4])).flatten(1)
        elif "rows" in self.how:
            made = self.linear(made.flatten(2).transpose(1, 2))
            return self.norm(made.flatten(0, 1)).reshape_as(made)
        return self.norm(made) + made if self.how == "read again" else self.norm(made)


@pytest.mark.parametrize(
    ("how", "folds"),
    [
        ("directly", 1),
        ("rows", 1),
        ("plain rows", 1),
        ("twice", 0),
        ("activated", 0),
        ("last axis", 0),
        ("read again", 0),
    ],
)
def test_what_is_folded(how: str, folds: int) -> None:
    module, images = unsettled(Case(how)), torch.randn(2, 1, 8, 8)
    expected = module(images)
    assert fold_batch_norms(module, (1, 8, 8)) == folds
    assert len(batch_norms([module])) == 1 - folds
    torch.testing.assert_close(module(images), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_stitches_of_a_recalibrated_network() -> None:
    net = build_conv_net()
    images = torch.randn(16, *net.input.size)
    recalibrate(net, images)
    for route in net.space:
        folded = net.at(route).to_module(fold_batch_norm=True, share=True)
        torch.testing.assert_close(folded(images), net(images, route), rtol=1e-5, atol=1e-5)
        # The one before the classifier follows a mean, and stays.
        assert len(batch_norms([folded])) == 1


@torch.no_grad()
@pytest.mark.parametrize("names", [("resnet_fm_small", "resnet_fm_base"), ("levit_fm_small", "levit_fm_base")])
def test_anchors_of_timm(names: tuple[str, ...]) -> None:
    net = unsettled(stitch(*names))
    images, route = torch.randn(2, *net.input.size), net.space[-1]
    folded = net.at(route).to_module(fold_batch_norm=True)
    assert len(batch_norms([folded])) == (1 if "levit" in names[0] else 0)
    expected = net(images, route)
    torch.testing.assert_close(folded(images), expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_weights_given_by_keyword_are_seen() -> None:
    class ByKeyword(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = nn.functional.linear(x.flatten(1), weight=self.linear.weight, bias=self.linear.bias)
            result: torch.Tensor = self.norm(rows)
            return result

    module, images = unsettled(ByKeyword()), torch.randn(3, 1, 2, 2)
    expected = module(images)
    assert fold_batch_norms(module, (1, 2, 2)) == 1
    torch.testing.assert_close(module(images), expected)
