from typing import Any

import torch
from timm.data import Mixup

from snnet.network import SNNet
from snnet.training import Distillation, OptimSettings, RunSettings, StitchLoss, anchor_teacher
from snnet.training.facts import run_facts
from snnet.training.samplers import AnchorShareSampler, UniformSampler
from tests.training.killable import TinyBatches


def facts(net: SNNet, **changed: Any) -> dict[str, Any]:
    parts = {
        "run": RunSettings(steps=3, trackers=()),
        "optim": OptimSettings(),
        "sampler": UniformSampler(net.space),
        "loss": StitchLoss(distillation=Distillation(anchor_teacher(net))),
        "mixup": Mixup(num_classes=10),
        "others": {"data": {"name": "embedded"}},
        "warmup": 1,
    }
    return dict(run_facts(net, TinyBatches(), **{**parts, **changed}))


def test_facts_are_flat_plain_values(tiny_net: SNNet) -> None:
    found = facts(tiny_net)
    assert all(isinstance(value, str | int | float | bool | None) for value in found.values())
    assert (found["steps"], found["optim.lr"], found["data.name"], found["sampler.name"]) == (
        3,
        1e-4,
        "embedded",
        "UniformSampler",
    )
    assert found["optim.warmup_steps"] == 1
    assert "log_every" not in found and found == facts(tiny_net)


def test_what_computes_something_else_has_other_facts(tiny_net: SNNet) -> None:
    base = facts(tiny_net)

    def changed(**parts: Any) -> set[str]:
        found = facts(tiny_net, **parts)
        return {name for name in base.keys() | found.keys() if base.get(name) != found.get(name)}

    other_teacher = Distillation(anchor_teacher(tiny_net, 0))
    assert changed(loss=StitchLoss(distillation=other_teacher)) == {"loss.distillation.teacher"}
    assert changed(mixup=Mixup(num_classes=10, mixup_alpha=0.5)) == {"mixup.mixup_alpha"}
    assert changed(sampler=AnchorShareSampler(tiny_net.space, 0.5)) == {"sampler.name", "sampler.share"}
    assert changed(run=RunSettings(steps=3, seed=1, trackers=(), log_every=7)) == {"seed"}
    with torch.no_grad():
        next(tiny_net.anchors[2].parameters()).add_(1.0)
    assert changed() == {"loss.distillation.teacher"}
