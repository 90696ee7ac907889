"""One step of a route as an ONNX graph, and many of them joined to the graph of a stitch.

Steps are exported one by one, because a space has many stitches and few steps: what two stitches share is exported
once, and a further stitch costs no more than joining.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnet.extras import require
from snnet.network import SNNet
from snnet.statistics import ScaledNorms
from snnet.steps import Step

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

IMAGES, LOGITS = "images", "logits"
OPSET = 23
"""The first with an attention operator: a third fewer nodes for a transformer, and none the slower."""


class StepModule(nn.Module):
    """Runs one step as it is at one place of a route.

    The network is no submodule: the exporter would walk through all of it, which takes longer than the step. Batch
    norms are written as a factor and an offset per channel. As batch norms the exporter folds them into the
    convolutions before them, and each beginning of a route would have weights of its own.
    """

    def __init__(self, net: SNNet, step: Step, prefix: str) -> None:
        super().__init__()
        self._run: Callable[[Tensor], Tensor] = lambda features: net.apply_step(step, features)
        norms = net.step_norms(step)
        self._norms: Any = ScaledNorms(norms, net.statistics.get(prefix)) if norms else nullcontext()

    def forward(self, features: Tensor) -> Tensor:
        """Run the step."""
        with self._norms:
            return self._run(features)


def export_step(net: SNNet, step: Step, prefix: str, example: Tensor) -> "ModelProto":
    """Return the graph of one step, from `features` to `result`, for batches of any size.

    Args:
        net: The network, in evaluation mode.
        step: The step.
        prefix: The beginning of a route that it ends, which says what statistics its batch norms use.
        example: What it is given, two images or more.
    """
    require("onnxscript", "onnx")
    module = StepModule(net, step, prefix).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=["features"],
            output_names=["result"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return _without_notes(program.model_proto)


def join(models: Sequence["ModelProto"]) -> "ModelProto":
    """Return one graph, from `images` to `logits`, that runs graphs of `export_step` one after another.

    Weights of the graphs may lie in another file.
    """
    onnx, compose = require("onnx", "onnx"), require("onnx.compose", "onnx")
    graphs = [compose.add_prefix_graph(model.graph, f"{number}/") for number, model in enumerate(models)]
    joined = graphs[0]
    for graph in graphs[1:]:
        joined = compose.merge_graphs(joined, graph, [(joined.output[0].name, graph.input[0].name)])
    _rename_ends(joined)
    opsets = {entry.domain: entry for model in models for entry in model.opset_import}
    version = max(model.ir_version for model in models)
    whole: ModelProto = onnx.helper.make_model(
        joined, opset_imports=opsets.values(), ir_version=version, producer_name="snnet"
    )
    return whole


def _rename_ends(graph: "GraphProto") -> None:
    names = {graph.input[0].name: IMAGES, graph.output[0].name: LOGITS}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    graph.name, graph.input[0].name, graph.output[0].name = "stitch", IMAGES, LOGITS


def _without_notes(model: "ModelProto") -> "ModelProto":
    """Take out where in the source each node comes from, and shapes between nodes: most of a graph's size."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    return model
