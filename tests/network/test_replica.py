"""A replica computes what the network computes and shares what it can."""

import torch

from snnet.network import SNNet, replicate


def test_equal_output_on_shared_tensors(tiny_net: SNNet) -> None:
    replica = replicate(tiny_net, lambda tensor: tensor)
    images = torch.randn(2, *tiny_net.input.size)
    for stitch in (0, 5, len(tiny_net.space) - 1):
        assert torch.equal(replica(images, stitch), tiny_net(images, stitch))
    places = {p.data_ptr() for p in tiny_net.parameters()}
    assert {p.data_ptr() for p in replica.parameters()} == places
    assert replica.space is tiny_net.space


def test_converted_tensors_and_mode_are_its_own(tiny_net: SNNet) -> None:
    tiny_net.train()
    replica = replicate(tiny_net, lambda tensor: tensor.double())
    assert {p.dtype for p in replica.parameters()} == {torch.float64}
    assert {p.dtype for p in tiny_net.parameters()} == {torch.float32}
    assert not any(m.training for m in replica.modules()) and all(m.training for m in tiny_net.modules())
    replica.active = 3
    assert tiny_net.active == tiny_net.space[0]


def test_shared_tensors_stay_shared(tiny_net: SNNet) -> None:
    blocks = tiny_net.anchor(0).model.blocks
    blocks[1].mlp.fc1.weight = blocks[0].mlp.fc1.weight
    twins = replicate(tiny_net, lambda tensor: tensor.clone()).anchor(0).model.blocks
    assert twins[1].mlp.fc1.weight is twins[0].mlp.fc1.weight is not blocks[0].mlp.fc1.weight
