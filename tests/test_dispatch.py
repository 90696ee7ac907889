"""Modules are reached by name: at once, and right after one was exchanged."""

import pytest
import torch
from torch import nn

from snnet.dispatch import Run, run_all, runs_of
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


def no_call(features: torch.Tensor) -> torch.Tensor:
    pytest.fail("a step was called that its modules are all of")


def test_neighbors_under_one_parent_run_together() -> None:
    root = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)), nn.Linear(4, 2))
    names = {module: name for name, module in root.named_modules()}
    runs = runs_of(names, [([root[0]], no_call), ([root[1][0], root[1][1]], no_call), ([root[2]], no_call)])
    assert runs == (Run((), ("0",)), Run(("1",), ("0", "1")), Run((), ("2",)))
    assert runs_of(names, [([root[2]], no_call), ([root[0], root[2]], no_call)]) == (Run((), ("2", "0", "2")),)
    x = torch.randn(5, 3)
    assert torch.equal(run_all(root, runs, x), root(x))


def test_what_is_no_chain_of_named_modules_is_called() -> None:
    root = nn.Sequential(nn.Linear(3, 3))
    names = {module: name for name, module in root.named_modules()}
    runs = runs_of(names, [(None, torch.sin), ([root[0]], no_call), ([nn.ReLU()], torch.exp)])
    assert runs == (Run((), (), torch.sin), Run((), ("0",)), Run((), (), torch.exp))
    x = torch.randn(2, 3)
    assert torch.equal(run_all(root, runs, x), root[0](x.sin()).exp())
