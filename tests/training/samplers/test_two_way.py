"""Samplers over spaces with cuts in both directions."""

from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.space import StitchSpace
from snnet.training import RunSettings, Trainer, TrainStatus
from snnet.training.samplers import SAMPLERS
from tests.conftest import build_tiny_anchor
from tests.helpers.routes import build_free_net
from tests.training.killable import TinyBatches, build_trainer


def two_way_net() -> SNNet:
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, depth=3) for width in (16, 32)]
    return SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors], direction="both"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform", {}),
        ("anchor-share", {"share": 0.1}),
        ("sandwich", {"random": 1}),
        ("macs-buckets", {"buckets": 4}),
        ("weighted", {"by": "macs"}),
    ],
)
def test_routes_there_and_back_are_trained(name: str, options: dict[str, Any]) -> None:
    net, seen = two_way_net(), set[str]()
    sampler = SAMPLERS.get(name).build(net.space, count_costs(net), **options)
    settings = RunSettings(steps=40, trackers=(), device="cpu")
    before = {layer: module.transform.weight.clone() for layer, module in net.layers.items()}  # type: ignore[operator,union-attr]

    def note(status: TrainStatus) -> None:
        seen.update(status.stitch.split(" + "))

    Trainer(net, TinyBatches(), run=settings, sampler=sampler).fit(on_step=note)
    routes = {net.space.find(stitch).anchors for stitch in seen}
    # To the larger anchor, to the smaller, and out and back.
    assert {(0, 1), (1, 0)} <= routes and routes & {(0, 1, 0), (1, 0, 1)}
    used = {net.space.layer_of(cut).name for stitch in seen for cut in net.space.find(stitch).cuts}
    moved = {n for n, m in net.layers.items() if not torch.equal(m.transform.weight, before[n])}  # type: ignore[union-attr,arg-type]
    assert moved == used


@pytest.mark.parametrize("anchors", [1, 2])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform", {}),
        ("anchor-share", {"share": 0.2}),
        ("sandwich", {"random": 1}),
        ("macs-buckets", {"buckets": 4}),
        ("weighted", {"by": "macs"}),
        ("weighted", {"by": "need", "share": 0.2, "floor": 0.5}),
        ("single", {}),
    ],
)
def test_skips_and_routes_that_come_back_are_drawn(name: str, options: dict[str, Any], anchors: int) -> None:
    net = build_free_net(anchors)
    scores = {stitch.id: 50.0 - 7 * len(stitch.cuts) for stitch in net.space}
    table = count_costs(net).with_column("top1", scores)
    sampler = SAMPLERS.get(name).build(net.space, table, **options)
    drawn = {stitch for step in range(200) for stitch in sampler.draw(step, torch.Generator().manual_seed(step))}
    assert drawn == ({net.space[anchors - 1]} if name == "single" else set(net.space))


@pytest.mark.parametrize("anchors", [1, 2])
def test_a_run_of_any_routes_resumes_as_if_it_had_not_stopped(anchors: int, tmp_path: Path) -> None:
    whole, net = (build_free_net(anchors, drop_path_rate=0.3) for _ in range(2))
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    build_trainer(tmp_path / "whole", whole).fit()

    def stop(status: TrainStatus) -> None:
        if status.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_trainer(tmp_path / "part", net).fit(on_step=stop)
    again = build_free_net(anchors, drop_path_rate=0.3)
    build_trainer(tmp_path / "part", again).fit(resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert any(not torch.equal(before[name], value) for name, value in whole.state_dict().items())
