"""Compiled steps compute what the network does, and are compiled once whatever stitch they belong to."""

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
import torch
from torch import nn

from snnet.errors import EngineError
from snnet.init import recalibrate
from snnet.network import SNNet, extract_step, stitch
from snnet.runtime.engines import ENGINES, CompileEngine, Conditions
from snnet.runtime.engines.cuda_graphs import CudaGraphs
from snnet.runtime.engines.lowered import lower
from snnet.space import StitchSpace
from snnet.utils import has_fast_linear
from tests.conftest import build_tiny_anchor


@pytest.fixture(scope="module")
def net() -> SNNet:
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, depth=3) for width in (16, 32)]
    return SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()


@pytest.fixture(scope="module")
def engine(net: SNNet) -> CompileEngine:
    engine = ENGINES.get("compile")(net, Conditions.of(net, threads=1))
    assert isinstance(engine, CompileEngine)
    return engine


def test_stitches_equal_the_network_and_share_compilations(net: SNNet, engine: CompileEngine) -> None:
    images = torch.randn(1, *net.input.size)
    for route in net.space:
        with torch.no_grad():
            torch.testing.assert_close(engine.load(route)(images), net(images, route), rtol=1e-4, atol=1e-5)
    # A stem, one block for all of its kind, and a head for each anchor, and one stitching layer for all cuts.
    assert len(engine._compiled) == 7
    assert len(net.space) > 3


def test_a_batch_size_is_prepared_or_comes_by_itself(net: SNNet, engine: CompileEngine) -> None:
    block, features = net.steps(0)[1], torch.randn(3, 17, 16)
    ready = engine.load_step(block, features[:1])
    assert ready.serves(features[:1]) and not ready.serves(features)
    with torch.no_grad():
        torch.testing.assert_close(ready(features), net.run_step(block, features), rtol=1e-4, atol=1e-5)
    assert ready.serves(features)


def test_an_open_batch_size(net: SNNet) -> None:
    block, features = net.steps(0)[1], torch.randn(5, 17, 16)
    ready = CompileEngine(net, dynamic=True).load_step(block, features[:2])
    assert ready.serves(features) and not ready.serves(features[:1])
    with torch.no_grad():
        torch.testing.assert_close(ready(features), net.run_step(block, features), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not has_fast_linear("cpu"), reason="linear layers run through MKL alone here")
def test_large_linear_layers_run_through_onednn(net: SNNet) -> None:
    net = deepcopy(net)
    mlp = net.anchor(0).model.blocks[1].mlp
    mlp.fc1, mlp.fc2 = nn.Linear(16, 1024), nn.Linear(1024, 16)
    engine, features = CompileEngine(net.eval()), torch.randn(1, 17, 16)
    step = net.steps(0)[2]
    graph = lower(extract_step(engine.replica, step), features).graph
    assert "onednn_linear" in graph.code
    with torch.no_grad():
        expected = net.run_step(step, features)
    torch.testing.assert_close(engine.load_step(step, features)(features), expected, rtol=1e-4, atol=1e-5)


def test_steps_alone_and_in_threads(net: SNNet, engine: CompileEngine) -> None:
    features = torch.randn(1, *net.input.size)
    last = len(net.space) - 1
    ready, images = engine.load(last), features
    for step in net.steps(last):
        features = engine.load_step(step, features)(features)
    torch.testing.assert_close(features, ready(images))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ready, [images] * 8))
    assert all(torch.equal(one, found[0]) for one in found)


@pytest.mark.slow
def test_statistics_of_a_route() -> None:
    net = stitch("resnet_fm_small", "resnet_fm_base", pretrained=True).eval()
    images, route = torch.randn(8, *net.input.size), net.space[-1]
    recalibrate(net, [images], stitches=[route])
    ready = CompileEngine(net, batch_sizes=(8,)).load(route)
    with torch.no_grad():
        torch.testing.assert_close(ready(images), net(images, route), rtol=1e-3, atol=1e-3)


def test_no_compiler(tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cpp_builder, exc

    def none() -> str:
        raise exc.InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(EngineError, match="needs a C\\+\\+ compiler"):
        CompileEngine(tiny_net)


def test_what_cannot_be_compiled_names_the_step(tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(torch._inductor, "compile", fail)
    with pytest.raises(EngineError, match=r"kind='stem'.*no such thing.*'eager' runs it"):
        CompileEngine(tiny_net).load(0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_graphs(tiny_net: SNNet) -> None:
    engine = CompileEngine(tiny_net, Conditions.of(tiny_net, "cuda"))
    images = torch.randn(1, *tiny_net.input.size)
    ready = engine.load(4)
    assert all(isinstance(run, CudaGraphs) for run in ready.runs.values())  # type: ignore[attr-defined]
    for _ in range(3):
        images = torch.randn_like(images)
        with torch.no_grad():
            expected = tiny_net(images, 4)
        torch.testing.assert_close(ready(images.cuda()).cpu(), expected, rtol=1e-3, atol=1e-4)
