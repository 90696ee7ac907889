"""A runtime of a bundle needs no network."""

import pytest
import torch

from snnet.errors import EngineError, SpaceError, TableError
from snnet.export.bundle import Bundle
from snnet.network import SNNet
from snnet.runtime import Governor, Runtime
from snnet.table import StitchTable
from snnet.utils import Machine
from tests.bundles import STITCHES

pytest.importorskip("onnxruntime")


def measured(table: StitchTable, engine: str) -> StitchTable:
    """Return a table whose stitch number n takes n + 1 ms here, on an engine."""
    facts = {
        "machine": Machine.here().on().to_dict(),
        "precision": "fp32",
        "network_precision": "fp32",
        "engine": engine,
    }
    rows = table.with_column("latency_ms", {row.stitch: float(place + 1) for place, row in enumerate(table)})
    return StitchTable(rows, {**table.meta, "profile": facts})


@torch.no_grad()
def test_it_answers_within_budgets(bundle: Bundle, small_net: SNNet) -> None:
    images = torch.randn(1, *small_net.input.size)
    with Runtime(bundle, profile=measured(bundle.table, "onnxruntime")) as runtime:
        runtime.wait_ready()
        assert set(runtime.ready) == set(bundle.stitches)
        for place, row in enumerate(bundle.table):
            answer = runtime.run(images, latency_ms=place + 1.5)
            assert answer.stitch == row.route
            torch.testing.assert_close(answer.logits, small_net(images, row.route), rtol=1e-4, atol=1e-5)
        assert runtime(images, stitch=STITCHES[0]).shape == (1, 10)
        assert Governor(runtime, 1.5).run(images).stitch == bundle.stitches[0]
        with pytest.raises(SpaceError, match="has no stitch"):
            runtime(images, stitch="0:0-1,1:0-2")


def test_a_profile_of_the_whole_network_will_do(bundle: Bundle, small_net: SNNet) -> None:
    assert small_net.table is not None and len(small_net.table) > len(bundle.table)
    whole = measured(small_net.table.with_column("top1", {row.stitch: 1.0 for row in small_net.table}), "onnxruntime")
    with Runtime(bundle, profile=whole) as runtime:
        assert len(runtime.menu.table) == len(bundle.stitches)
        # Scores are the bundle's own.
        assert [row.top1 for row in runtime.menu.table] == [row.top1 for row in bundle.table]


def test_its_engine_is_onnxruntime(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="A bundle runs on onnxruntime, and eager was asked for"):
        Runtime(bundle, engine="eager")
    eager = measured(bundle.table, "eager")
    with Runtime(bundle, profile=eager) as runtime:
        runtime.wait_ready()
        # Other budgets than latency do as ever.
        assert runtime.cost == "macs" and runtime.choose(macs=1e12) == max(bundle.table, key=lambda row: row.top1).route
        with pytest.raises(TableError, match="measured with the engine eager, and stitches run on onnxruntime"):
            runtime.choose(latency_ms=1.5)
    with pytest.raises(TableError, match="measured with the engine eager"):
        Runtime(bundle, profile=eager, cost="latency_ms")
    with Runtime(bundle, profile=eager, any_machine=True) as runtime:
        runtime.wait_ready()
        assert runtime.choose(latency_ms=1.5) == bundle.stitches[0]
