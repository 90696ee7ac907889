"""A module as an ONNX graph, in which equal weights bear equal names whatever the stitch."""

from collections.abc import Container
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from snnet.errors import ExportError
from snnet.export.program import export_program, quiet
from snnet.network import Given
from snnet.utils import require

if TYPE_CHECKING:
    import onnx
    import onnx_ir

INPUT = "images"
"""Name of what a graph takes."""
OUTPUT = "logits"
"""Name of what a graph gives."""

_RULES = (
    "cast_cast",
    "collapse_slice",
    "collapse_slice2",
    "materialize_reshape_shape",
    "no_op_cast",
    "no_op_expand",
    "no_op_transpose",
    "reshape_reshape",
    "squeeze_reshape_1d",
    "transpose_transpose",
    "unsqueeze_unsqueeze",
)
"""Of onnxscript's rules those that leave weights alone."""


def onnx_model(module: nn.Module, images: Given, *, opset: int | None = None) -> "onnx.ModelProto":
    """Return a module as an ONNX graph from `images` `(batch, C, H, W)` to `logits` `(batch, ...)`.

    Weights are initializers under the names of the module's `state_dict()`. Matrices that the graph multiplies with
    from the right are kept the way that it needs them, transposed, as `NAME.T`. What was worked out from weights
    and constants is named by its content, `constant.HASH`. So in the graphs of two stitches of one network equal
    names mean equal tensors; batch norms are the exception where a network has running statistics by route. No batch
    norm is folded here, see `to_module(fold_batch_norm=True)`.

    Args:
        module: In evaluation mode, on the CPU, such as `net.at(stitch).to_module()` gives.
        images: Example `(B, C, H, W)`; its numbers do not matter. For a module that takes several tensors a tuple of
            them, which the graph calls `images`, `images.1`, `images.2`, ...
        opset: Version of ONNX's operators; torch's usual if None.

    Raises:
        ExportError: If torch cannot write the module as a graph.
        ExtraError: If the packages of the extra `onnx` are not installed.
    """
    for name in ("onnx", "onnxscript"):
        require(name, "onnx")
    program = export_program(module, images)
    count = len(images) if isinstance(images, tuple) else 1
    inputs = [INPUT, *(f"{INPUT}.{number}" for number in range(1, count))]
    names: dict[str, Any] = {"input_names": inputs, "output_names": [OUTPUT], "opset_version": opset}
    try:
        with quiet():
            # Without its own optimization, which gives weights new names and folds batch norms into them.
            written: Any = torch.onnx.export(program, dynamo=True, optimize=False, verbose=False, **names)
            written.rename_axes({written.model.graph.inputs[0].shape[0]: "batch"})
    except Exception as error:
        raise ExportError(f"This stitch cannot be written in ONNX: {error}") from error
    _simplify(written.model, set(module.state_dict()))
    model: onnx.ModelProto = require("onnx_ir", "onnx").to_proto(written.model)
    return model


def _simplify(model: "onnx_ir.Model", weights: Container[str]) -> None:
    """Work out what does not depend on the images, and name it."""
    import onnx_ir.passes.common as passes
    from onnxscript import optimizer, rewriter
    from onnxscript.rewriter.rules import common as rules

    optimizer.inline(model)
    _store_transposed(model)
    with quiet():
        optimizer.fold_constants(model, onnx_shape_inference=True)
        rewriter.rewrite(model, [getattr(rules, f"{name}_rule") for name in _RULES])
    for step in (
        passes.RemoveUnusedNodesPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.CommonSubexpressionEliminationPass(),
        passes.IdentityEliminationPass(),
        passes.RemoveUnusedNodesPass(),
        passes.ClearMetadataAndDocStringPass(),
    ):
        step(model)
    _name_constants(model, weights)


def _store_transposed(model: "onnx_ir.Model") -> None:
    """Replace transposed matrices of weights by matrices that are stored transposed."""
    import onnx_ir as ir

    stored = model.graph.initializers
    for node in list(model.graph):
        source = node.inputs[0] if node.op_type == "Transpose" else None
        if source is None or source.const_value is None or stored.get(source.name or "") is not source:
            continue
        matrix, name = source.const_value.numpy(), f"{source.name}.T"
        if matrix.ndim != 2 or list(node.attributes["perm"].as_ints()) != [1, 0]:
            continue
        if name not in stored:
            tensor = ir.tensor(matrix.T.copy(), name=name)
            kind = ir.TensorType(tensor.dtype)
            value = ir.Value(name=name, shape=ir.Shape(matrix.T.shape), type=kind, const_value=tensor)
            model.graph.register_initializer(value)
        node.outputs[0].replace_all_uses_with(stored[name])
        model.graph.remove(node, safe=True)


def _name_constants(model: "onnx_ir.Model", weights: Container[str]) -> None:
    """Name by its content what is no weight."""
    stored = model.graph.initializers
    for name, value in list(stored.items()):
        if name in weights or name.removesuffix(".T") in weights or value.const_value is None:
            continue
        array = value.const_value.numpy()
        key = f"{array.dtype}{array.shape}".encode() + array.tobytes()
        new = f"constant.{sha256(key).hexdigest()[:16]}"
        if new in stored:
            value.replace_all_uses_with(stored[new])
            del stored[name]
        else:
            value.name = new
