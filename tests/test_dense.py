"""Networks that end in a dense head: exported, bundled, run and profiled as classifiers are."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import Tensor

from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import normalized_pixels
from snnet.errors import ExportError
from snnet.export import EXPORTS, export_stitch
from snnet.export.bundle import Bundle, Quantization, run_session, write_bundle
from snnet.network import MaskPrediction, SNNet, stitch
from snnet.profiling import MeasureSettings, profile
from snnet.profiling.bench import Bench
from snnet.profiling.memory import LiveTensors
from snnet.runtime import Runtime
from snnet.runtime.engines import ENGINES, Conditions, EagerEngine
from snnet.space import OutputSpec, StitchSpace
from snnet.tasks import Segmentation
from tests.conftest import build_tiny_anchor
from tests.helpers.mapped import CLASSES, build_dense_net


@pytest.fixture(scope="module")
def net() -> SNNet:
    return build_dense_net()


def images_of(net: SNNet, count: int = 3) -> Tensor:
    return torch.randn(count, *net.input.size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("a.pt2", "torch"),
        pytest.param("a.onnx", "onnxruntime", marks=pytest.mark.slow),
        pytest.param("a.xml", "openvino", marks=pytest.mark.slow),
    ],
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
    ["eager", *(pytest.param(name, marks=pytest.mark.slow) for name in ("compile", "onnxruntime", "openvino"))],
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


def labelled(net: SNNet) -> list[tuple[Tensor, Tensor]]:
    targets = torch.randint(len(CLASSES), (6, 28, 28), generator=torch.Generator().manual_seed(1))
    targets[:, :4] = 255
    images = images_of(net, 6)
    return [(images[:4], targets[:4]), (images[4:], targets[4:])]


@pytest.fixture(scope="module")
def bundle(net: SNNet, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two routes as they are and with weights of 8 bits."""
    pytest.importorskip("onnxruntime")
    routes = [net.space[0], net.space[2]]
    quantization = Quantization("dynamic", keep_float=True)
    place = tmp_path_factory.mktemp("dense") / "bundle"
    return write_bundle(net, place, routes, quantization=quantization, scored_on=labelled(net))


def check_graphs(net: SNNet, bundle: Bundle) -> None:
    images = images_of(net)
    for route in [one for one in bundle.stitches if not one.precision]:
        [found] = bundle.session(route).run(None, {"images": images.numpy()})
        with torch.no_grad():
            expected = net(images, route)
        assert found.shape == expected.shape
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)
        graph = onnx.load(str(bundle.graph(route)), load_external_data=False).graph
        assert ([each.name for each in graph.input], [each.name for each in graph.output]) == (["images"], ["logits"])
    assert bundle.manifest.task == {"name": "segmentation", "ignore": 255, "class_weights": None}
    assert bundle.output == net.output == OutputSpec("softmax", dense=True) == Bundle.open(bundle.path).output


def test_graphs_of_a_bundle_equal_the_network(net: SNNet, bundle: Bundle) -> None:
    check_graphs(net, bundle)


@pytest.mark.slow
def test_graphs_of_maps_that_are_the_features_themselves(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    net = stitch(*EMBEDDED_FAMILIES["cnn"]).eval()
    net.set_head("linear", 3)
    routes = [net.space[0], net.space[2], net.space[-1]]
    bundle = write_bundle(net, tmp_path / "bundle", routes)
    check_graphs(net, bundle)
    used = {id(p): p.nbytes for route in routes for p in net.parameters_of(route)}
    assert bundle.weights.stat().st_size < sum(used.values()) + 4096 * len(used), "one copy of each weight"


def test_a_bundle_predicts_masks_as_its_network_does(net: SNNet, bundle: Bundle) -> None:
    photo, route = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)), net.space[2]
    ours, theirs = bundle.predict(photo, route), net.predict(photo, route)
    assert isinstance(ours, MaskPrediction) and isinstance(theirs, MaskPrediction)
    assert ours.mask.shape == (40, 70) and (ours.mask == theirs.mask).mean() > 0.999 and ours.classes == CLASSES
    assert np.array_equal(bundle.transform(photo), normalized_pixels(photo, net.input, whole=True))


def test_weights_of_8_bits_are_scored_by_the_task(net: SNNet, bundle: Bundle) -> None:
    task, route = Segmentation(), net.space[2]
    values = bundle.table[f"{route}@int8"].values
    for name, of in (("miou", f"{route}@int8"), ("miou_float", str(route))):
        session, sums = bundle.session(of), torch.zeros(3 * len(CLASSES) + 4, dtype=torch.float64)
        for images, targets in labelled(net):
            sums += task.statistics(run_session(session, images), targets).sum(0)
        assert values[name] == pytest.approx(task.score(sums, 6)["miou"], abs=1e-9)
    assert bundle.table.score == "miou" and str(bundle.select()) == str(net.space[2])


@pytest.mark.slow
def test_a_quantized_bundle_needs_pixels_that_are_known(net: SNNet, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    nothing = [(images_of(net, 2), torch.full((2, 28, 28), 255))]
    with pytest.raises(ExportError, match="no masks by which quantized weights"):
        write_bundle(net, tmp_path / "bundle", [0], quantization=Quantization("dynamic"), scored_on=nothing)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("kind", ["network", "bundle"])
def test_a_runtime_chooses_by_the_score_of_the_table(net: SNNet, bundle: Bundle, kind: str) -> None:
    with Runtime(net if kind == "network" else bundle) as runtime:
        best = {"network": net.space[-1], "bundle": net.space[2]}[kind]
        images, floats = images_of(net, 2), images_of(net, 2).numpy()
        runtime.wait_ready(progress=False)
        answer = runtime.run(images)
        assert answer.stitch == best and answer.logits.shape == (2, 5, 28, 28)
        with torch.no_grad():
            torch.testing.assert_close(answer.logits, net(images, best), rtol=1e-4, atol=1e-4)
        cheap = runtime.run(floats, macs=1e5)
        assert cheap.stitch == net.space[0] and isinstance(cheap.logits, np.ndarray)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["fpn", "upernet", "dpt"])
def test_decoders_are_bundled_with_all_of_their_convolutions_in_8_bits(head: str, tmp_path: Path) -> None:
    """Behind a group norm whose weights lie elsewhere onnx infers no types, without which nothing is quantized."""
    for package in ("onnxruntime", "segmentation_models_pytorch"):
        pytest.importorskip(package)
    anchors = [build_tiny_anchor(16, depth=depth, img_size=32, patch_size=8) for depth in (2, 4)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval().set_head(head, 5)
    images = images_of(net, 4)
    bundle = write_bundle(net, tmp_path / "bundle", [0], quantization=Quantization("static", images, keep_float=True))
    with torch.no_grad():
        expected = net(images, 0)
    torch.testing.assert_close(run_session(bundle.session("0:0-2"), images), expected, rtol=1e-4, atol=1e-4)
    found = run_session(bundle.session("0:0-2@int8"), images)
    assert (found - expected).abs().mean() < 0.1 * expected.abs().mean()
    graph = onnx.load(str(bundle.graph("0:0-2@int8")), load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    assert not [node.name for node in graph.node if node.op_type == "Conv" and weights & set(node.input[1:2])]
    assert {path.name for path in bundle.weights.parent.iterdir()} == {"0_0-2.onnx", "0_0-2@int8.onnx", "weights.bin"}
