# Tested in tests/export/bundle/test_write.py.
"""Graphs of a network's stitches, written one after another beside one file of weights.

Steps are exported one by one, because a space has many stitches and few steps: what two stitches share is exported
once, and a further stitch costs no more than joining.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from snnet.anchors import sample_images
from snnet.errors import ExportError
from snnet.export.bundle.manifest import WEIGHTS
from snnet.export.bundle.sessions import STITCH, graph_name, open_session
from snnet.export.bundle.weights import WeightFile
from snnet.export.onnx_graph import INPUT, OUTPUT, onnx_model
from snnet.network import SNNet, StitchLike, extract_step, replicate, to_plain
from snnet.space import Step, Stitch
from snnet.utils import require, write_aside

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OPSET = 23
"""The first with an attention operator: a third fewer nodes for a transformer, and none the slower."""
TOLERANCE = 1e-4
"""Largest difference of two results, relative to the largest number in them."""


class StitchGraphs:
    """A folder with a graph per stitch and their common weights; graphs are added when they are asked for.

    What a graph computes is compared with the network before the graph is there. Safe to use from several threads.

    Args:
        net: The network; it is not changed. Numbers are written as float32.
        folder: Where to write; made if it does not exist.
        images: Images `(B, C, H, W)` to compare on, besides random ones.
    """

    def __init__(self, net: SNNet, folder: Path, images: Tensor | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.weights = WeightFile(folder / WEIGHTS)
        self._net = replicate(net, to_plain)
        self._steps: dict[tuple[Step, str], ModelProto] = {}
        self._lock = RLock()
        samples = sample_images(net.input, 2)
        self._images = samples if images is None else torch.cat([samples, images.detach().cpu().float()])

    def add(self, stitch: StitchLike) -> Path:
        """Return the graph of a stitch, written now or before.

        Raises:
            SpaceError: If the network has no such stitch.
            ExportError: If the graph does not compute what the network does.
        """
        route = self._net.space.find(stitch)
        path = self.folder / graph_name(str(route))
        with self._lock:
            if not path.exists():
                with write_aside(path) as partial:
                    model = self._join(self._net.steps(route), self._net.prefixes(route))
                    model.metadata_props.add(key=STITCH, value=str(route))
                    self._write(model, partial)
                    self._check(open_session(partial), route)
        return path

    def add_step(self, step: Step, example: Tensor, path: Path) -> Path:
        """Write the graph of one step alone, with its weights in the common file."""
        with self._lock:
            graph = self._step(step, "", example.repeat(2, *[1] * (example.ndim - 1)))
            self._write(join([graph]), path)
        return path

    def close(self) -> None:
        """Finish the file of weights."""
        with self._lock:
            self.weights.close()

    def _check(self, session: Any, stitch: Stitch) -> None:
        with torch.inference_mode():
            expected = self._net(self._images, stitch)
            difference = (run_session(session, self._images) - expected).abs().max()
        error = float(difference / expected.abs().max().clamp_min(1e-12))
        if not error <= TOLERANCE:
            raise ExportError(
                f"The graph of stitch {stitch} differs from the network by {error:.1e} of its largest logit, and "
                f"{TOLERANCE:.0e} is accepted; it was made of other weights, or the exporter does not do this model "
                "right."
            )

    def _join(self, steps: Sequence[Step], prefixes: Sequence[str]) -> "ModelProto":
        models, features = [], self._images[:2]
        for step, prefix in zip(steps, prefixes, strict=True):
            models.append(self._step(step, prefix, features))
            with torch.no_grad():
                features = self._net.run_step(step, features, prefix)
        return join(models)

    def _step(self, step: Step, prefix: str, example: Tensor) -> "ModelProto":
        # Only running statistics make a step differ from place to place.
        key = (step, "" if self._net.statistics.get(prefix) is None else prefix)
        if key not in self._steps:
            model = export_step(self._net, step, prefix, example)
            for tensor in model.graph.initializer:
                self.weights.move_out(tensor)
            self._steps[key] = model
        return self._steps[key]

    def _write(self, model: "ModelProto", path: Path) -> None:
        self.weights.flush()
        path.write_bytes(model.SerializeToString())


def export_step(net: SNNet, step: Step, prefix: str, example: Tensor) -> "ModelProto":
    """Return the graph of one step, for batches of any size; see `extract_step` and `onnx_model`."""
    return onnx_model(extract_step(net, step, prefix), example, opset=OPSET)


def join(models: Sequence["ModelProto"]) -> "ModelProto":
    """Return one graph, from `images` to `logits`, that runs graphs of steps one after another.

    Weights of the graphs may lie in another file.
    """
    onnx, compose = require("onnx", "onnx"), require("onnx.compose", "onnx")
    graphs = [compose.add_prefix_graph(model.graph, f"{number}/") for number, model in enumerate(models)]
    joined = graphs[0]
    for graph in graphs[1:]:
        joined = compose.merge_graphs(joined, graph, [(joined.output[0].name, graph.input[0].name)])
    _rename_ends(joined)
    joined.ClearField("value_info")  # shapes between nodes, which readers infer
    opsets = {entry.domain: entry for model in models for entry in model.opset_import}
    version = max(model.ir_version for model in models)
    whole: ModelProto = onnx.helper.make_model(
        joined, opset_imports=opsets.values(), ir_version=version, producer_name="snnet"
    )
    return whole


def _rename_ends(graph: "GraphProto") -> None:
    names = {graph.input[0].name: INPUT, graph.output[0].name: OUTPUT}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    graph.name, graph.input[0].name, graph.output[0].name = "stitch", INPUT, OUTPUT


def run_session(session: Any, images: Tensor) -> Tensor:
    """Run a session on images `(B, ...)` in the memory where they lie."""
    given = images.detach().contiguous().numpy()
    return torch.from_numpy(session.run(None, {INPUT: given})[0])
