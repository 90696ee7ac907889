# Tested in tests/export/bundle/test_write.py.
"""Graphs of a network's stitches, written one after another beside one file of weights.

Steps are exported one by one, because a space has many stitches and few steps: what two stitches share is exported
once, and a further stitch costs no more than joining.
"""

from collections.abc import Mapping, Sequence
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
from snnet.network import Given, SNNet, StitchLike, after_step, extract_step, replicate, to_plain
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

    def add_step(self, step: Step, example: Given, path: Path) -> Path:
        """Write the graph of one step alone, with its weights in the common file."""
        with self._lock:
            self._write(join([(step, self._step(step, "", example))]), path)
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
        models: list[tuple[Step, ModelProto]] = []
        features: Any = self._images[:2]
        maps: tuple[Tensor, ...] = ()
        for step, prefix in zip(steps, prefixes, strict=True):

            def run(given: Given, step: Step = step, prefix: str = prefix) -> Tensor:
                models.append((step, self._step(step, prefix, given)))
                return self._net.run_step(step, given, prefix)

            with torch.no_grad():
                features, maps = after_step(step, features, maps, run)
        return join(models)

    def _step(self, step: Step, prefix: str, example: Given) -> "ModelProto":
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


def export_step(net: SNNet, step: Step, prefix: str, example: Given) -> "ModelProto":
    """Return the graph of one step, for batches of any size; see `extract_step` and `onnx_model`."""
    return onnx_model(extract_step(net, step, prefix), example, opset=OPSET)


def join(models: Sequence[tuple[Step, "ModelProto"]]) -> "ModelProto":
    """Return one graph, from `images` to `logits`, that runs graphs of steps one after another.

    Args:
        models: Each step with its graph, whose weights may lie in another file. One that puts a map aside leaves what
            it was given to the step after it, and a head over maps takes all of them.
    """
    onnx, compose = require("onnx", "onnx"), require("onnx.compose", "onnx")
    graphs = [compose.add_prefix_graph(model.graph, f"{number}/") for number, (_, model) in enumerate(models)]
    given = tuple(value.name for value in graphs[0].input)
    joined: GraphProto = onnx.GraphProto(name="stitch", input=graphs[0].input)
    features: Any = given if len(given) > 1 else given[0]
    maps: Any = ()
    for (step, _), graph in zip(models, graphs, strict=True):

        def run(feeding: str | tuple[str, ...], graph: "GraphProto" = graph) -> str:
            names = (feeding,) if isinstance(feeding, str) else feeding
            return _append(joined, graph, names)

        features, maps = after_step(step, features, maps, run)
    joined.output.append(graphs[-1].output[0])
    _rename_ends(joined, given)
    opsets = {entry.domain: entry for _, model in models for entry in model.opset_import}
    version = max(model.ir_version for _, model in models)
    whole: ModelProto = onnx.helper.make_model(
        joined, opset_imports=opsets.values(), ir_version=version, producer_name="snnet"
    )
    return whole


def _append(joined: "GraphProto", graph: "GraphProto", feeding: Sequence[str]) -> str:
    """Add nodes and weights of a graph whose inputs have other names there; return the name of its output."""
    names: dict[str, str] = dict(zip((value.name for value in graph.input), feeding, strict=True))
    _rename(graph, names)
    joined.node.extend(graph.node)
    joined.initializer.extend(graph.initializer)
    output: str = graph.output[0].name
    return names.get(output, output)


def _rename_ends(graph: "GraphProto", given: Sequence[str]) -> None:
    names = {name: name.partition("/")[2] for name in given} | {graph.output[0].name: OUTPUT}
    _rename(graph, names)
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]


def _rename(graph: "GraphProto", names: Mapping[str, str]) -> None:
    """Give what nodes take and give other names, in graphs within nodes, too."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _rename(inner, names)


def run_session(session: Any, images: Given) -> Tensor:
    """Run a session on images `(B, ...)`, or on what a step takes, in the memory where they lie."""
    names, tensors = [INPUT], (images,) if isinstance(images, Tensor) else images
    if len(tensors) > 1:
        names = [entry.name for entry in session.get_inputs()]
    given = [each.detach().contiguous().numpy() for each in tensors]
    return torch.from_numpy(session.run(None, dict(zip(names, given, strict=True)))[0])
