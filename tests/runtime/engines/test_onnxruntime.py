from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from snnet.errors import EngineError, SpaceError
from snnet.export.bundle import Bundle
from snnet.network import SNNet
from snnet.runtime.engines import ENGINES, BundleEngine, Conditions, OnnxRuntimeEngine
from tests.bundles import STITCHES

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def engine(small_net: SNNet) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(small_net)


def _expected(net: SNNet, images: torch.Tensor, stitch: str) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = net(images, stitch)
    return result


def test_loaded_stitches_equal_the_network_in_many_threads(engine: OnnxRuntimeEngine, small_net: SNNet) -> None:
    assert ENGINES.get("onnxruntime") is OnnxRuntimeEngine
    ready = {stitch: engine.load(stitch) for stitch in STITCHES}
    images = torch.randn(4, 3, *small_net.input.size)
    with ThreadPoolExecutor(4) as pool:
        calls = [(s, x, pool.submit(ready[s], x)) for x in images for s in STITCHES]
    for stitch, x, call in calls:
        torch.testing.assert_close(call.result(), _expected(small_net, x, stitch), rtol=1e-4, atol=1e-5)


def test_loading_again_exports_nothing(engine: OnnxRuntimeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.load(STITCHES[0])
    engine.load(STITCHES[1])
    monkeypatch.setattr("snnet.export.bundle.graphs.export_step", None)
    assert 0 < engine.load(STITCHES[1]).nbytes < 4_000_000


def test_closing_one_leaves_the_others(engine: OnnxRuntimeEngine, small_net: SNNet) -> None:
    first, second = engine.load(STITCHES[0]), engine.load(STITCHES[0])
    images = torch.randn(1, *small_net.input.size)
    first.close()
    with pytest.raises(EngineError, match="was closed"):
        first(images)
    torch.testing.assert_close(second(images), _expected(small_net, images, STITCHES[0]), rtol=1e-4, atol=1e-5)


def test_a_step_alone(engine: OnnxRuntimeEngine, small_net: SNNet) -> None:
    step = small_net.steps("1:0-2")[1]
    features = torch.randn(1, *small_net.anchor(1).feature(0).shape)
    with torch.no_grad():
        expected = small_net.run_step(step, features)
    ready = engine.load_step(step, features)
    torch.testing.assert_close(ready(features), expected, rtol=1e-4, atol=1e-5)
    assert ready(features.repeat(3, 1, 1)).shape[0] == 3


def test_from_a_bundle_without_the_network(small_net: SNNet, bundle: Bundle) -> None:
    engine = BundleEngine(bundle, threads=2)
    assert (engine.name, engine.conditions.threads) == ("onnxruntime", 2)
    images = torch.randn(2, *small_net.input.size)
    result = engine.load(STITCHES[2])(images)
    torch.testing.assert_close(result, _expected(small_net, images, STITCHES[2]), rtol=1e-4, atol=1e-5)
    with pytest.raises(SpaceError, match="has no stitch 0:0-1,1:0-2"):
        engine.load("0:0-1,1:0-2")


def test_conditions_it_cannot_meet(small_net: SNNet) -> None:
    with pytest.raises(EngineError, match=r"computes in fp32, and bf16 was asked for"):
        OnnxRuntimeEngine(small_net, Conditions(torch.device("cpu"), "bf16", 1))
    with pytest.raises(EngineError, match="runs on cpu, and cuda:0 was asked for"):
        OnnxRuntimeEngine(small_net, Conditions(torch.device("cuda:0"), "fp32", 1))


def test_close_removes_the_files(small_net: SNNet) -> None:
    engine = OnnxRuntimeEngine(small_net)
    folder = Path(engine._folder.name)
    assert folder.is_dir()
    engine.close()
    assert not folder.exists()
