"""Modules are reached by name: at once, and right after one was exchanged."""

import copy

import torch
from torch import nn

from snnet.network import SNNet, replicate
from snnet.network.dispatch import Run, run_plan, runs_of


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


NONE = Run((), method=("missing", ()))


class Doubling(nn.Linear):
    def times(self, factor: float, features: torch.Tensor) -> torch.Tensor:
        return factor * features


def test_neighbors_under_one_parent_run_together() -> None:
    root = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)), nn.Linear(4, 2))
    names = {module: name for name, module in root.named_modules()}
    runs = runs_of(names, [([root[0]], NONE), ([root[1][0], root[1][1]], NONE), ([root[2]], NONE)])
    assert runs == (Run((), ("0",)), Run(("1",), ("0", "1")), Run((), ("2",)))
    assert runs_of(names, [([root[2]], NONE), ([root[0], root[2]], NONE)]) == (Run((), ("2", "0", "2")),)
    x = torch.randn(5, 3)
    assert torch.equal(run_plan(root, runs, x), root(x))


def test_what_is_no_chain_of_named_modules_is_a_method() -> None:
    root = nn.Sequential(Doubling(3, 3))
    names = {module: name for name, module in root.named_modules()}
    times = Run(("0",), method=("times", (2.0,)))
    runs = runs_of(names, [(None, times), ([root[0]], NONE), ([nn.ReLU()], times)])
    assert runs == (times, Run((), ("0",)), times)
    x = torch.randn(2, 3)
    assert torch.equal(run_plan(root, runs, x), 2 * root[0](2 * x))


@torch.no_grad()
def test_a_replica_runs_its_own_modules_whoever_ran_first(tiny_net: SNNet) -> None:
    images = torch.randn(2, *tiny_net.input.size)
    for route in tiny_net.space:
        replica = replicate(tiny_net, lambda tensor: torch.zeros_like(tensor))
        for first, second in ((tiny_net, replica), (replica, tiny_net)):
            tiny_net._plans.clear()
            outputs = {id(net): net(images, route) for net in (first, second)}
            assert not outputs[id(replica)].any() and outputs[id(tiny_net)].any()


@torch.no_grad()
def test_an_exchanged_anchor_is_seen_whole(tiny_net: SNNet) -> None:
    images = torch.randn(2, *tiny_net.input.size)
    tiny_net(images, 0)
    other = copy.deepcopy(tiny_net.anchor(0))
    for parameter in other.parameters():
        parameter.add_(0.1)
    tiny_net.anchors[0] = other
    torch.testing.assert_close(tiny_net(images, 0), other(images))
