"""A runtime chooses among stitches in several precisions, each of which runs on an engine of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch

from snnet.errors import EngineError, SpaceError
from snnet.export.bundle import Quantization, run_session, write_bundle
from snnet.network import SNNet
from snnet.runtime import Runtime
from snnet.runtime.engines import ENGINES
from snnet.table import StitchTable, with_precisions
from tests.bundles import STITCHES


def timed(net: SNNet, factor: float, lost: float) -> StitchTable:
    """A table by hand, in which everything takes `factor` times its MACs and is as much worse."""
    assert net.table is not None
    return net.table.with_values(lambda row: {**row.values, "latency_ms": factor * row.macs, "top1": row.top1 - lost})


@pytest.fixture
def runtime(small_net: SNNet) -> Runtime:
    both = with_precisions(timed(small_net, 1, 0), {"bf16": timed(small_net, 0.5, 0.1)})
    with Runtime(small_net, profile=both) as found:
        found.wait_ready()
        yield found


def test_a_budget_is_answered_in_the_precision_that_is_best(small_net: SNNet, runtime: Runtime) -> None:
    images = torch.randn(1, *small_net.input.size)
    best = len(small_net.space) - 1
    answer = runtime.run(images, latency_ms=(10 + best) / 2)
    assert answer.stitch == answer.wanted and answer.stitch.precision == "bf16"
    assert answer.logits.dtype == torch.float32
    with torch.no_grad():
        expected = small_net(images, best)
    assert 0 < (answer.logits - expected).abs().max() < 0.05 * expected.abs().max()
    exact = runtime.run(images, latency_ms=10 + best)
    assert exact.stitch.precision == "" and torch.allclose(exact.logits, expected, rtol=1e-5, atol=1e-6)
    assert {stitch.precision for stitch in runtime.ready} == {"", "bf16"}
    assert runtime.floor.precision == "bf16"


def test_a_stitch_is_asked_for_by_its_id_with_the_precision(small_net: SNNet, runtime: Runtime) -> None:
    images = np.random.default_rng(0).standard_normal((2, *small_net.input.size), np.float32)
    half = runtime.run(images, stitch="1:0-2@bf16", wait=True)
    assert (str(half.stitch), half.logits.dtype) == ("1:0-2@bf16", np.float32)
    assert str(runtime.run(images, stitch="1:0-2", wait=True).stitch) == "1:0-2"
    with pytest.raises(SpaceError, match=r"Nothing runs 1:0-2@fp16 in fp16; precisions there are: bf16\."):
        runtime.run(images, stitch="1:0-2@fp16")
    with pytest.raises(SpaceError, match="A network runs in one precision"):
        small_net(torch.from_numpy(images), "1:0-2@bf16")


def test_an_engine_that_was_built_runs_in_one_precision(small_net: SNNet) -> None:
    both = with_precisions(timed(small_net, 1, 0), {"bf16": timed(small_net, 0.5, 0.1)})
    with pytest.raises(EngineError, match="stitches in bf16, which an engine that was built for fp32 does not run"):
        Runtime(small_net, ENGINES.get("eager")(small_net), profile=both)
    with pytest.raises(EngineError, match="onnxruntime computes in fp32, and bf16 was asked for"):
        Runtime(small_net, "onnxruntime", profile=both)


def test_a_bundle_of_two_precisions(small_net: SNNet, tmp_path: Path) -> None:
    images = torch.randn(32, *small_net.input.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = small_net(images, "1:0-2").argmax(dim=1)
    how = Quantization("static", images, keep_float=True)
    bundle = write_bundle(small_net, tmp_path / "both", STITCHES[:2], quantization=how, scored_on=[(images, labels)])
    assert [row.stitch for row in bundle.table] == ["0:0-2", "1:0-2", "0:0-2@int8", "1:0-2@int8"]
    own, small = bundle.table["1:0-2"], bundle.table["1:0-2@int8"]
    assert own.values == small_net.table["1:0-2"].values  # type: ignore[index]
    assert small.top1_float == 100 and small.macs == own.macs
    with torch.no_grad():
        expected = small_net(images, "1:0-2")
    logits = run_session(bundle.session("1:0-2@int8"), images)
    assert small.top1 == 100 * float((logits.argmax(dim=1) == labels).float().mean())
    assert 0 < (logits - expected).abs().max() < 0.2 * expected.abs().max()
    with Runtime(bundle) as runtime:
        runtime.wait_ready()
        torch.testing.assert_close(runtime(images, stitch="1:0-2", wait=True), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(runtime(images, stitch="1:0-2@int8", wait=True), logits)
    # One file holds both, and what needs no quantizing once.
    assert len(list((bundle.path / "stitches").iterdir())) == 5
    assert bundle.manifest.quantization is not None and bundle.manifest.quantization["keeps_float"]
