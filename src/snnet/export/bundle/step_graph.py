# Tested in tests/export/bundle/test_write.py.
"""One step of a route as an ONNX graph, and many of them joined to the graph of a stitch.

Steps are exported one by one, because a space has many stitches and few steps: what two stitches share is exported
once, and a further stitch costs no more than joining.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from snnet.export.onnx_graph import INPUT, OUTPUT, onnx_model
from snnet.network import SNNet, extract_step
from snnet.space import Step
from snnet.utils import require

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

OPSET = 23
"""The first with an attention operator: a third fewer nodes for a transformer, and none the slower."""


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
