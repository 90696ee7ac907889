"""Live bytes against counts by hand, and the fold over steps against whole forward passes."""

import pytest
import torch
from torch import nn

from snnet.network import SNNet
from snnet.profiling import MeasureSettings
from snnet.profiling.bench import Bench
from snnet.profiling.memory import LiveTensors
from snnet.runtime.engines import Conditions, EagerEngine


def test_live_tensors_by_hand() -> None:
    outside = torch.randn(1000)
    with torch.inference_mode(), LiveTensors() as live:
        view = outside.view(10, 100)
        first = view + 1
        second = first * 2  # first and second: 8000 bytes
        del first
        second.mul_(3)  # in place
        transposed = second.T
        third = transposed + 1  # second and third
        del second, transposed, third
        short = view.sum()  # 4 bytes
    assert live.peak == 8000
    assert sum(live._sizes.values()) == short.nbytes == 4


def test_a_tensor_that_never_dies_stays_live() -> None:
    layer = nn.Linear(100, 50)
    with torch.inference_mode(), LiveTensors() as live:
        kept = [layer(torch.zeros(1, 100)) for _ in range(5)]
    assert live.peak == 5 * 200 + 400 and len(kept) == 5


def bench_of(net: SNNet, device: str | None = None, precision: str | None = None) -> Bench:
    return Bench(net, EagerEngine(net, Conditions.of(net, device, precision)), MeasureSettings())


@pytest.mark.parametrize("batch", [1, 8])
def test_the_fold_over_steps_equals_a_whole_pass(tiny_net: SNNet, batch: int) -> None:
    bench, routes = bench_of(tiny_net), list(tiny_net.space)[::5]
    images = bench.images(batch)
    found = bench.memory(routes, images, bench.inputs(routes, images))
    for route in routes:
        with torch.inference_mode(), LiveTensors() as live:
            tiny_net(images, route)
        weights = sum(p.nbytes for p in tiny_net.parameters_of(route))
        assert found[route.id] == weights + images.nbytes + live.peak


def test_half_the_width_takes_half_the_memory_for_weights(tiny_net: SNNet) -> None:
    sizes, routes = [], tiny_net.space[:1]
    for precision in ("fp32", "bf16"):
        bench = bench_of(tiny_net, precision=precision)
        images = bench.images(1)
        sizes.append(bench.memory(routes, images, bench.inputs(routes, images))["0:0-4"])
    params = sum(p.numel() for p in tiny_net.parameters_of(0))
    assert sizes[0] - sizes[1] >= 2 * params


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_memory_on_cuda_is_at_least_weights_and_images(tiny_net: SNNet) -> None:
    bench, routes = bench_of(tiny_net, "cuda"), tiny_net.space[:1]
    images = bench.images(8)
    found = bench.memory(routes, images, bench.inputs(routes, images))
    assert found["0:0-4"] > images.nbytes + sum(p.nbytes for p in tiny_net.parameters_of(0))
