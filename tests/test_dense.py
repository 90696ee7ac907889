"""Networks that end in a dense head: exported, bundled, run and profiled as classifiers are."""

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.export import EXPORTS, export_stitch
from snnet.export.bundle import write_bundle
from snnet.network import SNNet, stitch
from snnet.profiling import MeasureSettings, profile
from snnet.profiling.bench import Bench
from snnet.profiling.memory import LiveTensors
from snnet.runtime.engines import ENGINES, Conditions, EagerEngine
from tests.helpers.mapped import build_dense_net


@pytest.fixture(scope="module")
def net() -> SNNet:
    return build_dense_net()


def images_of(net: SNNet, count: int = 3) -> Tensor:
    return torch.randn(count, *net.input.size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "package"),
    [("a.pt2", "torch"), ("a.onnx", "onnxruntime"), pytest.param("a.xml", "openvino", marks=pytest.mark.slow)],
)
def test_a_file_of_a_stitch(net: SNNet, name: str, package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    route = net.space[2]
    report = export_stitch(net, route, tmp_path / name)
    assert max(report.errors.values()) < 1e-5
    opened = EXPORTS.get(report.format)().read(tmp_path / name)
    for count in (1, 6):
        images = images_of(net, count)
        found = opened.run(images)
        assert found.shape == (count, 5, 28, 28)
        torch.testing.assert_close(found, net(images, route).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "engine",
    ["eager", "onnxruntime", *(pytest.param(name, marks=pytest.mark.slow) for name in ("compile", "openvino"))],
)
def test_engines_run_stitches_and_each_of_their_steps(net: SNNet, engine: str) -> None:
    if engine not in ("eager", "compile"):
        pytest.importorskip(engine)
    running = ENGINES.get(engine)(net, Conditions.of(net, threads=1))
    bench, routes = Bench(net, running, MeasureSettings()), [net.space[2]]
    images = bench.images(2)
    inputs = bench.inputs(routes, images)
    with torch.no_grad():
        expected = net(images, routes[0])
        torch.testing.assert_close(running.load(routes[0])(images), expected, rtol=1e-4, atol=1e-5)
        kinds = set()
        for step in net.steps(routes[0]):
            if (step.kind, step.layer != "") in kinds:
                continue
            kinds.add((step.kind, step.layer != ""))
            found = running.load_step(step, inputs[step])(inputs[step])
            torch.testing.assert_close(found, net.run_step(step, inputs[step]), rtol=1e-4, atol=1e-5)
    assert {("tap", True), ("decode", False)} <= kinds
    running.close()


@pytest.mark.parametrize("batch", [1, 8])
def test_memory_counts_maps_that_wait_for_the_head(net: SNNet, batch: int) -> None:
    bench, routes = Bench(net, EagerEngine(net, Conditions.of(net)), MeasureSettings()), list(net.space)
    images = bench.images(batch)
    found = bench.memory(routes, images, bench.inputs(routes, images))
    for route in routes:
        with torch.inference_mode(), LiveTensors() as live:
            net(images, route)
        weights = sum(p.nbytes for p in net.parameters_of(route))
        assert found[route.id] == weights + images.nbytes + live.peak


def test_a_profile_from_blocks() -> None:
    net = build_dense_net()
    settings = MeasureSettings(blocks=True, warmup=1, repeats=5, again=0, energy=False)
    table = profile(net, stitches="all", settings=settings, progress=False)
    assert all(row.values["latency_ms"] > 0 and row.values["memory_mb"] > 0 for row in table)
    assert table.score == "miou" and table.meta["profile"]["prediction"]["1"]["checked_on"] >= 1


@pytest.mark.parametrize("family", ["vit", pytest.param("cnn", marks=pytest.mark.slow)])
def test_graphs_of_a_bundle_are_compared_and_share_weights(family: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    net = build_dense_net() if family == "vit" else stitch(*EMBEDDED_FAMILIES["cnn"]).eval()
    if family == "cnn":
        net.set_head("linear", 3)
    routes = [net.space[0], net.space[2], net.space[-1]]
    bundle = write_bundle(net, tmp_path / "bundle", routes)
    images = images_of(net)
    for route in routes:
        [found] = bundle.session(route).run(None, {"images": images.numpy()})
        with torch.no_grad():
            expected = net(images, route)
        assert found.shape == expected.shape
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)
        graph = onnx.load(str(bundle.graph(route)), load_external_data=False).graph
        assert ([each.name for each in graph.input], [each.name for each in graph.output]) == (["images"], ["logits"])
    used = {id(p): p.nbytes for route in routes for p in net.parameters_of(route)}
    assert bundle.weights.stat().st_size < sum(used.values()) + 4096 * len(used)
