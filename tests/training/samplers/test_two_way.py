"""Samplers over spaces with cuts in both directions."""

from typing import Any

import pytest
import torch

from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.space import StitchSpace
from snnet.training import RunSettings, Trainer, TrainStatus
from snnet.training.samplers import SAMPLERS
from tests.conftest import build_tiny_anchor
from tests.training.killable import TinyBatches


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
