"""Modules are reached by name: at once, and right after one was exchanged."""

import torch
from torch import nn

from snnet.dispatch import paths_of, run_paths
from snnet.network import SNNet


def test_an_exchanged_block_is_seen_by_routes_that_ran_before(tiny_net: SNNet) -> None:
    images = torch.randn(2, *tiny_net.input.size)
    with torch.no_grad():
        before = tiny_net(images, 0)
        tiny_net.anchor(0).model.blocks[1] = nn.Identity()
        after = tiny_net(images, 0)
        features = tiny_net.anchor(0).enter(images)
        for block in (0, 2, 3):
            features = tiny_net.anchor(0).block(block, features)
        expected = tiny_net.anchor(0).head(features)
    assert not torch.equal(before, after)
    assert torch.equal(after, expected)


def test_hooks_of_blocks_run(tiny_net: SNNet) -> None:
    seen: list[int] = []
    tiny_net.anchor(1).model.blocks[2].register_forward_hook(lambda *_: seen.append(2))
    tiny_net(torch.randn(1, *tiny_net.input.size), 1)
    assert seen == [2]


def test_paths_lead_to_the_modules() -> None:
    root = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    names = {module: name for name, module in root.named_modules()}
    paths = paths_of(names, [root[0], root[1][0], root[1][1]])
    assert paths == (("0",), ("1", "0"), ("1", "1"))
    x = torch.randn(5, 3)
    assert torch.equal(run_paths(root, paths, x), root(x))
    assert paths_of(names, None) is None
    assert paths_of(names, [nn.ReLU()]) is None
