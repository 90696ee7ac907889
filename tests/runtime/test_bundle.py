"""A runtime of a bundle needs no network."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.errors import DataError, EngineError, SpaceError, TableError
from snnet.export.bundle import Bundle, write_bundle
from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.runtime import Deadline, Governor, Runtime
from snnet.table import StitchTable
from snnet.utils import Machine
from tests.bundles import STITCHES
from tests.helpers.routes import build_free_net

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
    with pytest.raises(TableError, match=r"measured with the engine eager.*--engine onnxruntime.*cost='macs'"):
        Runtime(bundle, profile=eager)
    with Runtime(bundle, profile=eager, cost="macs") as runtime:
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


def test_its_own_table_may_be_of_the_networks_engine(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "table", measured(bundle.table, "eager"))
    with Runtime(bundle) as runtime:
        assert runtime.cost == "macs"


def test_arrays_are_answered_by_arrays(bundle: Bundle, small_net: SNNet) -> None:
    images = np.random.default_rng(0).standard_normal((3, *small_net.input.size), dtype=np.float32)
    picture = bundle.transform(Image.new("L", (28, 28), 99))
    timed = measured(bundle.table.with_column("latency_ms@3", {row.stitch: 1.0 for row in bundle.table}), "onnxruntime")
    with Runtime(bundle, profile=timed) as runtime:
        for given in (images, images[:, :, ::-1], picture[None]):
            logits = runtime(given, stitch=STITCHES[2], wait=True)
            assert type(logits) is np.ndarray
            with torch.no_grad():
                expected = small_net(torch.from_numpy(given.copy()), STITCHES[2])
            np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-5)
        assert type(runtime.run(picture[None], latency_ms=9).logits) is np.ndarray
        governor = Governor(runtime, Deadline(99.0))
        assert type(governor(picture[None])) is np.ndarray and governor.budget != 99.0
        assert type(runtime(torch.from_numpy(images))) is torch.Tensor


def answers_right(runtime: Runtime, net: SNNet, calls: int) -> None:
    """Let four threads ask under changing budgets, and compare every answer with the network's."""
    images = torch.randn(8, *net.input.size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = {route: net(images, route) for route in runtime.stitches}

    def ask(number: int) -> None:
        draw = random.Random(number)
        limit, place = draw.uniform(1.0, 4.0), draw.randrange(8)
        answer = runtime.run(images[place, None], latency_ms=limit)
        assert runtime.menu.value(answer.stitch, "latency_ms") <= limit
        torch.testing.assert_close(answer.logits, expected[answer.stitch][place, None], rtol=1e-4, atol=1e-5)

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(ask, range(calls)))) == calls
    assert runtime.counters().calls == calls and not runtime.failures


@pytest.mark.parametrize("calls", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_four_threads_and_two_places_under_changing_budgets(bundle: Bundle, small_net: SNNet, calls: int) -> None:
    with Runtime(bundle, profile=measured(bundle.table, "onnxruntime"), max_ready=2) as runtime:
        answers_right(runtime, small_net, calls)
        assert runtime.counters().evicted > 0


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 3, 28, 28), r"have shape \(2, 3, 28, 28\); expected float images \(N, 1, 28, 28\)"),
        (np.zeros((2, 3, 28, 28), np.float32), r"have shape \(2, 3, 28, 28\)"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "are torch.uint8; expected float images"),
        (
            np.zeros((2, 1, 28, 28)),
            r"are torch.float64 and the network torch.float32; .*runtime.engine.conditions.dtype",
        ),
        (torch.zeros(1, 28, 28), r"a single image needs a first axis"),
        ([[0.0]], "are a list"),
    ],
)
def test_images_that_do_not_fit_are_refused(bundle: Bundle, images: object, message: str) -> None:
    with Runtime(bundle) as runtime:
        for options in ({"stitch": STITCHES[0]}, {"macs": 1e12}):
            with pytest.raises(DataError, match=message):
                runtime.run(images, **options)  # type: ignore[type-var, arg-type]


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("anchors", [1, 2])
def test_any_routes_run_from_a_bundle_and_from_their_network_alike(anchors: int, tmp_path: Path) -> None:
    net, images = build_free_net(anchors), torch.randn(1, 1, 28, 28)
    net.table = count_costs(net).with_column("top1", {s.id: 50.0 + n for n, s in enumerate(net.space)})
    write_bundle(net, tmp_path / "bundle", net.space)
    # Equal bytes once, however many routes run them; large tensors begin at a page.
    size = (tmp_path / "bundle" / "stitches" / "weights.bin").stat().st_size
    assert size < sum(p.numel() * 4 + 4096 for p in net.parameters() if p.numel() >= 256)
    for source in (net, Bundle.open(tmp_path / "bundle")):
        with Runtime(source, stitches=net.space) as runtime:
            for stitch in net.space:
                found = runtime(images, stitch=stitch, wait=True)
                torch.testing.assert_close(found, net(images, stitch), rtol=1e-4, atol=1e-5)
