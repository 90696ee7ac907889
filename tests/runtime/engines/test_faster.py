"""Faster modules compute the same with the same weights."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from snnet.network import SNNet, stitch
from snnet.runtime.engines import EagerEngine
from snnet.runtime.engines.eager import OneDnnLinear, use_channels_last, use_onednn
from snnet.utils import has_fast_linear


@pytest.mark.skipif(not has_fast_linear("cpu"), reason="linear layers run through MKL alone here")
def test_large_linear_layers_share_their_weights(tiny_net: SNNet) -> None:
    block = tiny_net.anchor(0).model.blocks[0].mlp
    block.fc1, block.fc2 = nn.Linear(16, 1024), nn.Linear(1024, 16)
    replica = EagerEngine(tiny_net).replica.anchor(0).model.blocks[0].mlp
    assert type(replica.fc1) is OneDnnLinear and type(block.fc1) is nn.Linear
    assert replica.fc1.weight.data_ptr() == block.fc1.weight.data_ptr()
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(replica.fc1(x), block.fc1(x))


@pytest.mark.skipif(not has_fast_linear("cpu"), reason="linear layers run through MKL alone here")
def test_a_layer_in_two_places_stays_one(tiny_net: SNNet) -> None:
    net = deepcopy(tiny_net)
    blocks = net.anchor(0).model.blocks
    blocks[0].mlp.fc1 = blocks[1].mlp.fc1 = nn.Linear(16, 1024)
    use_onednn(net)
    assert isinstance(blocks[0].mlp.fc1, OneDnnLinear)
    assert blocks[0].mlp.fc1 is blocks[1].mlp.fc1


def test_other_types_of_number_are_left_alone(tiny_net: SNNet) -> None:
    net = deepcopy(tiny_net).double()
    net.anchor(0).model.blocks[0].mlp.fc1 = nn.Linear(16, 1024).double()
    use_onednn(net)
    assert not any(isinstance(module, OneDnnLinear) for module in net.modules())


def test_kernels_of_convolutional_anchors_are_laid_out_anew_in_the_replica_alone() -> None:
    net = stitch("resnet_fm_small", "swin_fm_base")
    engine = EagerEngine(net)
    own, copied = net.anchor(0).model.conv1.weight, engine.replica.anchor(0).model.layer1[0].conv1.weight
    assert own.is_contiguous()
    assert copied.is_contiguous(memory_format=torch.channels_last) and not copied.is_contiguous()
    kernel = engine.replica.anchor(1).model.patch_embed.proj.weight
    assert kernel.data_ptr() == net.anchor(1).model.patch_embed.proj.weight.data_ptr()
    images = torch.randn(3, *net.input.size)
    with torch.no_grad():
        for number in (0, len(net.space) - 1):
            torch.testing.assert_close(engine.load(number)(images), net.eval()(images, number), rtol=1e-4, atol=1e-4)


def test_features_follow_the_kernels() -> None:
    net = stitch("resnet_fm_small", "resnet_fm_base")
    use_channels_last(net)
    features = net.eval().anchor(0).stem(torch.randn(2, *net.input.size))
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_an_own_linear_class_is_left_alone(tiny_net: SNNet) -> None:
    class Own(nn.Linear):
        pass

    tiny_net.anchor(0).model.blocks[0].mlp.fc1 = Own(16, 1024)
    use_onednn(tiny_net)
    assert type(tiny_net.anchor(0).model.blocks[0].mlp.fc1) is Own
