"""One fold runs routes, trees of them and single steps alike, and finds modules right after one was exchanged."""

import copy

import pytest
import torch
from torch import Tensor, nn

from snnet.anchors import EMBEDDED_FAMILIES, Anchor
from snnet.network import SNNet, Tree, replicate, run_tree, stitch, walk_tree
from snnet.network.tree import find_call
from snnet.space import Step, Stitch
from tests.helpers.routes import build_free_net

TIMM = ("resnet18", "regnetx_002", "levit_128s", "convnext_atto", "poolformer_s12")
FAMILIES = {**EMBEDDED_FAMILIES, **{name: (name, name) for name in TIMM}}


def by_anchors(net: SNNet, route: Stitch, images: Tensor) -> Tensor:
    """Run a route through the anchors' own methods alone."""
    features = images
    for step in net.steps(route):
        if step.kind == "stitch":
            features = net.layers[step.layer](features)
        elif step.kind == "block":
            features = net.anchor(step.anchor).block(step.index, features)
        else:
            anchor = net.anchor(step.anchor)
            features = anchor.enter(features) if step.kind == "stem" else anchor.head(features)
    return features


@torch.no_grad()
@pytest.mark.parametrize("names", FAMILIES.values(), ids=list(FAMILIES))
def test_route_tree_steps_and_extracted_stitch_give_the_same_bits(names: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    net = stitch(*names, stages=[2] if names[0] in TIMM else None).eval()
    check_bits(net, [net.space[number] for number in {0, len(net.space) // 2, len(net.space) - 1}])


@torch.no_grad()
@pytest.mark.parametrize("anchors", [1, 2])
def test_skips_and_routes_that_come_back_give_the_same_bits(anchors: int) -> None:
    net = build_free_net(anchors)
    check_bits(net, list(net.space))
    copied, images = replicate(net, torch.clone), torch.randn(2, *net.input.size)
    for route in net.space:
        assert torch.equal(copied(images, route), net(images, route))
        folded = net.at(route).to_module(fold_batch_norm=True)
        assert torch.equal(folded(images), net(images, route))


def check_bits(net: SNNet, routes: list[Stitch]) -> None:
    images, tree = torch.randn(1, *net.input.size), Tree()
    for route in routes:
        tree.add(route, net.steps(route))
    from_tree = dict(run_tree(net, tree, images))
    for route in routes:
        expected = by_anchors(net, route, images)
        assert torch.equal(net(images, route), expected)
        assert torch.equal(from_tree[route.id], expected)
        assert torch.equal(net.at(route).to_module(share=True)(images), expected)
        features = images
        for step in net.steps(route):
            features = net.run_step(step, features)
        assert torch.equal(features, expected)


def test_in_training_the_anchor_itself_is_asked(tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Step] = []

    def run_step(self: Anchor, step: Step, features: Tensor) -> Tensor:
        asked.append(step)
        return plain(self, step, features)

    plain = Anchor.run_step
    monkeypatch.setattr(Anchor, "run_step", run_step)
    images, route = torch.randn(1, *tiny_net.input.size), tiny_net.space[-1]
    tiny_net(images, route)
    assert [step.kind for step in asked] == ["stem", "head"]
    asked.clear()
    tiny_net.train()(images, route)
    assert asked == [step for step in tiny_net.steps(route) if step.kind != "stitch"]


def test_what_a_step_does_besides_its_modules_or_beside_named_ones_is_left_to_the_anchor(
    tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = tiny_net.steps(0)[1]
    path = ("anchors", "0", "model", "blocks")
    assert find_call(tiny_net, block, "0:0-1") == (block, ("anchors", "0"), ((path, ("0",)),), "0:0-1")
    monkeypatch.setattr(type(tiny_net.anchor(0)), "chain", lambda *_: (nn.ReLU(),))
    assert find_call(tiny_net, block) == (block, ("anchors", "0"), None, "")


def test_a_walk_runs_each_step_once_on_what_its_parent_gave(tiny_net: SNNet) -> None:
    tree = Tree()
    for route in tiny_net.space:
        tree.add(route, tiny_net.steps(route))
    ways = dict.fromkeys(prefix for route in tiny_net.space for prefix in tiny_net.prefixes(route))
    walked = [node.prefix for node, _ in walk_tree(tree, torch.zeros(()), lambda _, features: features + 1)]
    assert sorted(walked) == sorted(ways)
    depths = {node.prefix: int(count) for node, count in walk_tree(tree, torch.zeros(()), lambda _, x: x + 1)}
    assert all(
        depths[prefix] == place for route in tiny_net.space for place, prefix in enumerate(tiny_net.prefixes(route), 1)
    )


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


@torch.no_grad()
def test_a_replica_runs_its_own_modules_whoever_ran_first(tiny_net: SNNet) -> None:
    images = torch.randn(2, *tiny_net.input.size)
    for route in tiny_net.space:
        replica = replicate(tiny_net, lambda tensor: torch.zeros_like(tensor))
        for first, second in ((tiny_net, replica), (replica, tiny_net)):
            tiny_net._routes.clear()
            tiny_net._calls.clear()
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
