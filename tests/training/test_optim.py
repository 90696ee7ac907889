import math

import pytest
import torch

from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.training import OptimSettings, build_optimizer, build_schedule, parameter_groups
from snnet.training.optim import learning_rates


def test_every_parameter_is_in_one_group_and_decays_as_its_anchor_says(tiny_net: SNNet) -> None:
    groups = {group["name"]: group for group in parameter_groups(tiny_net, weight_decay=0.05, anchor_lr_scale=0.1)}
    assert list(groups) == ["layers", "layers_no_decay", "anchors", "anchors_no_decay"]
    names = {id(p): name for name, p in tiny_net.named_parameters()}
    grouped = [names[id(p)] for group in groups.values() for p in group["params"]]
    assert sorted(grouped) == sorted(names.values())
    plain = {names[id(p)] for p in groups["anchors_no_decay"]["params"]}
    assert all(
        f"anchors.{i}.model.{name}" in plain for i in range(3) for name in ("pos_embed", "cls_token", "norm.bias")
    )
    assert all(name.endswith(("weight",)) for name in (names[id(p)] for p in groups["anchors"]["params"]))
    assert all(names[id(p)].endswith("bias") for p in groups["layers_no_decay"]["params"])
    assert {name: group["weight_decay"] for name, group in groups.items() if group["weight_decay"]} == {
        "layers": 0.05,
        "anchors": 0.05,
    }


def test_anchors_have_their_share_of_the_rate_at_every_step(tiny_net: SNNet) -> None:
    settings = OptimSettings(lr=0.4, anchor_lr_scale=0.1, min_lr=0.02)
    optimizer = build_optimizer(tiny_net, settings)
    schedule = build_schedule(optimizer, settings, steps=20, warmup=4)
    for step in range(20):
        schedule.step_update(step)
        warm = 0.08 + step * (0.4 - 0.08) / 4
        cosine = 0.02 + 0.5 * (0.4 - 0.02) * (1 + math.cos(math.pi * (step - 4) / 16))
        rates = learning_rates(optimizer)
        assert rates["lr"] == pytest.approx(warm if step < 4 else cosine)
        assert rates["anchor_lr"] == pytest.approx(0.1 * rates["lr"])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_parameter_without_gradient_does_not_move(tiny_net: SNNet, name: str) -> None:
    optimizer = build_optimizer(tiny_net, OptimSettings(optimizer=name, lr=0.1, weight_decay=0.5))  # type: ignore[arg-type]
    for number in range(2):
        # The first step gives every parameter a momentum that the second must not follow.
        before = {name: p.detach().clone() for name, p in tiny_net.named_parameters()}
        optimizer.zero_grad()
        stitches = list(tiny_net.space) if number == 0 else [tiny_net.space[4]]
        sum(tiny_net(torch.randn(2, 1, 28, 28), stitch).square().sum() for stitch in stitches).backward()  # type: ignore[union-attr]
        optimizer.step()
    used = {id(p) for p in tiny_net.parameters_of(tiny_net.space[4])}
    moved = {name: not torch.equal(p, before[name]) for name, p in tiny_net.named_parameters()}
    assert moved == {name: id(p) in used for name, p in tiny_net.named_parameters()}


def test_frozen_parameters_are_left_out(tiny_net: SNNet) -> None:
    tiny_net.anchors.requires_grad_(False)
    assert [group["name"] for group in parameter_groups(tiny_net, weight_decay=0.1)] == ["layers", "layers_no_decay"]
    tiny_net.requires_grad_(False)
    with pytest.raises(RecipeError, match="nothing to train"):
        build_optimizer(tiny_net, OptimSettings())


def test_bad_settings_are_refused(tiny_net: SNNet) -> None:
    with pytest.raises(RecipeError, match="optimizer: should be 'adamw' or 'sgd', got 'adam'"):
        OptimSettings(optimizer="adam")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="lr: should be greater than 0, got -1"):
        OptimSettings(lr=-1)
    settings = OptimSettings()
    with pytest.raises(RecipeError, match="10 of 10 steps"):
        build_schedule(build_optimizer(tiny_net, settings), settings, steps=10, warmup=10)
