"""Conditions are completed from the network, and devices that are not there refused."""

import pytest
import torch

from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.runtime.engines import Conditions


def test_completed_from_the_network(tiny_net: SNNet) -> None:
    assert Conditions.of(tiny_net).to_dict() == {"device": "cpu", "precision": "fp32", "threads": 1}
    given = Conditions.of(tiny_net.to(torch.bfloat16), device="cpu", threads=3)
    assert given == Conditions(torch.device("cpu"), "bf16", 3)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", torch.device("xla")])
def test_unknown_device(tiny_net: SNNet, device: str | torch.device) -> None:
    with pytest.raises(RecipeError, match=rf"Unknown device '{device}'; this machine has \['cpu'"):
        Conditions.of(tiny_net, device)


def test_network_without_numbers(tiny_net: SNNet) -> None:
    with pytest.raises(RecipeError, match="lies on the meta device and has no numbers to run"):
        Conditions.of(tiny_net.to("meta"), "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_one_device_has_one_name(tiny_net: SNNet) -> None:
    assert Conditions.of(tiny_net, "cuda") == Conditions.of(tiny_net, "cuda:0")
