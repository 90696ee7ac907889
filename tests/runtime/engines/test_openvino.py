"""OpenVINO runs stitches and steps as the network does, from several threads, and lets go of what was closed."""

import threading

import pytest
import torch

from snnet.errors import EngineError
from snnet.init import recalibrate
from snnet.network import SNNet
from snnet.runtime.engines import ENGINES, Conditions
from tests.batch_norm_family import build_conv_net

pytest.importorskip("openvino", reason="the package openvino is not installed")


def test_stitches_and_steps_equal_the_network(small_net: SNNet) -> None:
    engine = ENGINES.get("openvino")(small_net, Conditions.of(small_net, threads=1))
    stitch = "0:0-1,1:1-2"
    ready = engine.load(stitch)
    for count in (1, 3):
        images = torch.randn(count, *small_net.input.size)
        expected = small_net(images, stitch).detach()
        torch.testing.assert_close(ready(images), expected, rtol=1e-4, atol=1e-5)
    features = images
    with torch.no_grad():
        for step in small_net.steps(stitch)[:4]:
            expected = small_net.run_step(step, features)
            if step.index == 0:  # stem, first block and stitching layer
                found = engine.load_step(step, features)(features)
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            features = expected


def test_batch_norms_have_the_statistics_of_the_stitch() -> None:
    net = build_conv_net()
    images = torch.randn(16, *net.input.size)
    recalibrate(net, images)
    ready = ENGINES.get("openvino")(net).load(4)
    with torch.no_grad():
        torch.testing.assert_close(ready(images), net(images, 4), rtol=1e-4, atol=1e-5)


def test_threads_do_not_meet_and_closing_frees(small_net: SNNet) -> None:
    ready = ENGINES.get("openvino")(small_net).load(2)
    batches = [torch.randn(2, *small_net.input.size) for _ in range(3)]
    with torch.no_grad():
        expected = [small_net(images, 2) for images in batches]
    wrong: list[int] = []

    def call(number: int) -> None:
        for _ in range(100):
            if not torch.allclose(ready(batches[number]), expected[number], rtol=1e-4, atol=1e-5):
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert ready.nbytes == 4 * sum(p.numel() for p in small_net.parameters_of(2))
    ready.close()
    assert ready.nbytes == 0
    with pytest.raises(EngineError, match="load it again"):
        ready(batches[0])


def test_bf16_is_near_where_the_cpu_has_it(small_net: SNNet) -> None:
    import openvino

    conditions = Conditions.of(small_net, precision="bf16", threads=1)
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(EngineError, match="this CPU has no bf16"):
            ENGINES.get("openvino")(small_net, conditions)
        return
    images = torch.randn(2, *small_net.input.size)
    with torch.no_grad():
        expected = small_net(images, "1:0-2")
    found = ENGINES.get("openvino")(small_net, conditions).load("1:0-2")(images.bfloat16())
    assert found.dtype == torch.bfloat16 and 0 < (found - expected).abs().max() < 0.1 * expected.abs().max()
    with pytest.raises(EngineError, match="runs in fp32 and bf16 on the CPU, not in fp16"):
        ENGINES.get("openvino")(small_net, Conditions(torch.device("cpu"), "fp16", 1))
