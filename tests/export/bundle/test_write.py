import json
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
import torch

from snnet.errors import ExportError, SpaceError
from snnet.export.bundle import Bundle, StitchGraphs, run_session, write_bundle
from snnet.export.bundle.graphs import export_step
from snnet.export.bundle.weights import PAGE, SMALLEST
from snnet.network import SNNet
from snnet.space import Step
from tests.bundles import STITCHES, build_normed_net


def _stored(bundle: Bundle, stitch: str) -> dict[str, tuple[int, int]]:
    """Names of the tensors of a graph that lie in the file -> offset and length."""
    found = {}
    for tensor in onnx.load(str(bundle.graph(stitch)), load_external_data=False).graph.initializer:
        entry = {item.key: item.value for item in tensor.external_data}
        if entry:
            assert entry["location"] == bundle.weights.name
            found[tensor.name] = (int(entry["offset"]), int(entry["length"]))
    return found


@pytest.mark.parametrize("stitch", STITCHES)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_session_equals_the_network(bundle: Bundle, small_net: SNNet, stitch: str, batch: int) -> None:
    images = torch.randn(batch, *small_net.input.size)
    with torch.no_grad():
        expected = small_net(images, stitch)
    torch.testing.assert_close(run_session(bundle.session(stitch), images), expected, rtol=1e-4, atol=1e-5)


def test_what_stitches_share_is_stored_once(bundle: Bundle) -> None:
    small, large, both = (set(_stored(bundle, stitch).values()) for stitch in STITCHES)
    assert both & small and both & large
    # The stitched route has nothing of its own but the stitching layer, 16 to 32 channels.
    own = both - small - large
    assert sum(length for _, length in own) == 16 * 32 * 4


def test_tensors_lie_on_pages(bundle: Bundle) -> None:
    places = {place for stitch in STITCHES for place in _stored(bundle, stitch).values()}
    assert places and all(offset % PAGE == 0 and length >= SMALLEST for offset, length in places)
    assert bundle.weights.stat().st_size % PAGE == 0
    ends = sorted(places)
    assert all(offset + length <= after for (offset, length), (after, _) in pairwise(ends))


def test_graphs_are_small(bundle: Bundle) -> None:
    nodes = onnx.load(str(bundle.graph("1:0-2")), load_external_data=False).graph.node
    assert not any(node.metadata_props or node.doc_string for node in nodes)
    assert bundle.graph("1:0-2").stat().st_size < 32 * 1024


def test_costs_and_scores_come_along(bundle: Bundle, small_net: SNNet) -> None:
    assert small_net.table is not None
    assert [row.stitch for row in bundle.table] == [*STITCHES]
    assert all(row.to_dict() == small_net.table[row.stitch].to_dict() for row in bundle.table)
    assert bundle.table.meta == small_net.table.meta
    assert bundle.manifest.classes == small_net.classes
    assert bundle.manifest.input == small_net.input
    assert {"snnet", "torch", "onnxruntime"} <= bundle.manifest.versions.keys()


def test_batch_norms_share_the_weights_before_them(tmp_path: Path) -> None:
    net = build_normed_net()
    assert len(net.statistics)
    stitch = net.space[-1]
    graphs = StitchGraphs(net, tmp_path)  # compares each graph with the network
    graph = onnx.load(str(graphs.add(stitch)), load_external_data=False).graph
    before = graphs.weights.path.stat().st_size
    net.statistics.clear()
    StitchGraphs(net, tmp_path / "plain").add(stitch)
    assert (tmp_path / "plain" / "weights.bin").stat().st_size == (tmp_path / "weights.bin").stat().st_size == before
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("Conv") == kinds.count("BatchNormalization") == 7


@pytest.fixture(scope="module")
def exported() -> dict[Step, onnx.ModelProto]:
    return {}


@pytest.fixture
def exports_kept(exported: dict[Step, onnx.ModelProto], monkeypatch: pytest.MonkeyPatch) -> None:
    """For what comes after the steps of `small_net` are exported: that is done once for several tests."""

    def export(net: SNNet, step: Step, prefix: str, example: torch.Tensor) -> onnx.ModelProto:
        if step not in exported:
            exported[step] = export_step(net, step, prefix, example)
        copied = onnx.ModelProto()
        copied.CopyFrom(exported[step])  # its weights are moved out
        return copied

    monkeypatch.setattr("snnet.export.bundle.graphs.export_step", export)


@pytest.mark.usefixtures("exports_kept")
def test_a_graph_that_computes_something_else_is_refused(
    small_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnet.export.bundle.graphs.TOLERANCE", -1.0)
    with pytest.raises(ExportError, match=r"stitch 0:0-2 differs from the network by"):
        write_bundle(small_net, tmp_path / "bundle", ["0:0-2"])
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("exports_kept")
def test_an_earlier_bundle_survives_a_failure(
    written: Path, small_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "manifest.json").write_bytes((written / "manifest.json").read_bytes())

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("snnet.export.bundle.weights.WeightFile.move_out", fail)
    with pytest.raises(ExportError, match=r"cannot be written \(no space left"):
        write_bundle(small_net, target, ["0:0-2"])
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert json.loads((target / "manifest.json").read_text())["format"] == "snnet-bundle"


@pytest.mark.usefixtures("exports_kept")
def test_an_earlier_bundle_comes_back_where_the_new_one_cannot_take_its_place(
    written: Path, small_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rename = tmp_path / "bundle", Path.rename
    target.mkdir()
    (target / "manifest.json").write_bytes((written / "manifest.json").read_bytes())

    def fail_for_new(path: Path, other: Path) -> Path:
        if other.name == ".replacement":
            raise OSError("the disk is away")
        return rename(path, other)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(ExportError, match=r"cannot be written \(the disk is away"):
        write_bundle(small_net, target, ["0:0-2"])
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (target / "manifest.json").read_bytes() == (written / "manifest.json").read_bytes()


def test_a_folder_of_something_else_is_left_alone(small_net: SNNet, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match="holds something that is no bundle"):
        write_bundle(small_net, tmp_path, ["0:0-2"])
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_unknown_stitch(small_net: SNNet, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="No stitch '7:0-2' in this space"):
        write_bundle(small_net, tmp_path / "bundle", ["7:0-2"])
