"""A runtime of a bundle needs no network."""

import pytest
import torch

from snnet.bundle import Bundle
from snnet.errors import EngineError, SpaceError, TableError
from snnet.machine import Machine
from snnet.network import SNNet
from snnet.runtime import Governor, Runtime
from snnet.table import StitchTable
from tests.bundle.conftest import STITCHES, bundle, small_net, written

pytest.importorskip("onnxruntime")
__all__ = ["bundle", "small_net", "written"]


def measured(table: StitchTable, engine: str) -> StitchTable:
    """Return a table whose stitch number n takes n + 1 ms here, on an engine."""
    facts = {"machine": Machine.here().on().to_dict(), "dtype": "float32", "network_dtype": "float32", "engine": engine}
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


def test_its_engine_is_onnxruntime(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="A bundle runs on onnxruntime, and eager was asked for"):
        Runtime(bundle, engine="eager")
    with pytest.raises(TableError, match="measured with the engine eager, and stitches run on onnxruntime"):
        Runtime(bundle, profile=measured(bundle.table, "eager"))
    with Runtime(bundle, profile=measured(bundle.table, "eager"), any_machine=True) as runtime:
        assert runtime.choose(latency_ms=1.5) == bundle.stitches[0]
