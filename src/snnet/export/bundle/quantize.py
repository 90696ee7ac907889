"""Weights of 8 bits: graphs of stitches quantized by onnxruntime, equal weights still stored once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor

from snnet.errors import ExportError
from snnet.export.bundle.graphs import run_session
from snnet.export.bundle.manifest import WEIGHTS
from snnet.export.bundle.sessions import STITCH, graph_name, open_session
from snnet.export.bundle.weights import WeightFile
from snnet.export.onnx_graph import INPUT
from snnet.export.program import quiet
from snnet.tasks import Task
from snnet.utils import require

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images `(B, C, H, W)` and targets, such as labels `(B,)`; iterated several times."""

STATIC = ["Conv", "Gemm", "MatMul"]
DYNAMIC = STATIC[1:]
"""Convolutions stay: onnxruntime has no dynamic ones with signed weights."""
PRECISION = "int8"
"""What quantized stitches run in, as their ids say where they stand beside the others."""


@dataclass(frozen=True)
class Quantization:
    """How weights are quantized to signed 8-bit integers, one scale per output channel.

    A weight becomes the same integers in every stitch, so stitches share them. What differs between stitches, the
    scales of activations, is small and lies in their graphs.

    Attributes:
        mode: `dynamic` quantizes activations as they come, `static` by their range on calibration images.
        images: Calibration images `(B, C, H, W)`, normalized; needed for `static`.
        keep_float: Write the stitches as they are, too; those of 8 bits are then called `0:0-5,1:6-12@int8`.
    """

    mode: Literal["dynamic", "static"]
    images: Tensor | None = None
    keep_float: bool = False

    def __post_init__(self) -> None:
        if self.mode not in ("dynamic", "static"):
            raise ExportError(f"There is no quantization {self.mode!r}; accepted: 'dynamic', 'static'.")
        if self.mode == "static" and (self.images is None or not len(self.images)):
            raise ExportError("Static quantization measures activations on images, and there are none; give some.")

    def to_dict(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        count = 0 if self.images is None or self.mode == "dynamic" else len(self.images)
        facts = {"mode": self.mode, "weights": "int8", "per_channel": True, "calibration_images": count}
        return {**facts, "keeps_float": True} if self.keep_float else facts


def quantize_graphs(
    graphs: Mapping[str, Path],
    weights: WeightFile,
    quantization: Quantization,
    scored_on: Batches | None,
    task: Task,
    tell: Callable[[int, str], object],
) -> dict[str, dict[str, float]]:
    """Put quantized graphs and weights in the place of those in a folder, or beside them.

    Args:
        graphs: Id of each stitch -> its graph.
        weights: Their weights; more come to it where those are kept, else it is closed.
        quantization: How.
        scored_on: Images and targets to score before and after.
        task: What scores them.
        tell: Told `(stitches done, id)`.

    Returns:
        For each stitch the first score of the task and, of the weights before, the same with `_float` appended:
        `top1` and `top1_float`; nothing without images.
    """
    scores: dict[str, dict[str, float]] = {}
    with TemporaryDirectory(dir=weights.path.parent.parent) as aside:
        if not quantization.keep_float:
            weights.close()
        fresh = weights if quantization.keep_float else WeightFile(Path(aside) / WEIGHTS)
        for done, (stitch, path) in enumerate(graphs.items()):
            tell(done, stitch)
            named = f"{stitch}@{PRECISION}" if quantization.keep_float else stitch
            target = fresh.path.with_name(graph_name(named))
            _quantize(path, target, named, quantization, fresh)
            if scored_on is not None:
                name = task.scores[0]
                after, before = (_score(file, scored_on, task) for file in (target, path))
                scores[stitch] = {name: after, f"{name}_float": before}
        fresh.close()
        if fresh is not weights:
            for path in (*graphs.values(), weights.path):
                (Path(aside) / path.name).replace(path)
    return scores


def _quantize(source: Path, target: Path, stitch: str, quantization: Quantization, weights: WeightFile) -> None:
    onnx, tool = require("onnx", "onnx"), require("onnxruntime.quantization", "onnx")
    options = {"per_channel": True, "weight_type": tool.QuantType.QInt8}
    # Kept quiet is the advice to optimize graphs first, which would make other weights of each.
    with TemporaryDirectory(dir=target.parent) as aside, quiet("root"), _typed(source) as given:
        result = Path(aside) / "quantized.onnx"
        if quantization.mode == "dynamic":
            tool.quantize_dynamic(given, result, op_types_to_quantize=DYNAMIC, **options)
        else:
            # Unsigned activations with signed weights are what onnxruntime is fast at on x86.
            options["activation_type"] = tool.QuantType.QUInt8
            tool.quantize_static(given, result, _Reader(quantization.images), op_types_to_quantize=STATIC, **options)
        model = onnx.load(str(result))
    for tensor in model.graph.initializer:
        weights.move_out(tensor)
    weights.flush()
    require("onnx.helper", "onnx").set_model_props(model, {STITCH: stitch})
    target.write_bytes(model.SerializeToString())


@contextmanager
def _typed(source: Path) -> Iterator[Path]:
    """Yield a graph that says of which type all is that flows in it.

    Of what comes after a group norm whose weights lie in another file, no type is inferred, and so nothing quantized.
    """
    onnx = require("onnx", "onnx")
    model = onnx.load(str(source), load_external_data=False)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name for value in (*inferred.value_info, *inferred.output)}
    untold = [name for node in model.graph.node for name in node.output if name and name not in known]
    if not untold:
        yield source
        return
    kind = onnx.TensorProto.FLOAT
    model.graph.value_info.extend(onnx.helper.make_tensor_value_info(name, kind, None) for name in untold)
    typed = source.with_name(f"typed-{source.name}")  # beside its weights
    try:
        typed.write_bytes(model.SerializeToString())
        yield typed
    finally:
        typed.unlink(missing_ok=True)


class _Reader:
    """Hands calibration images out one by one, as onnxruntime asks for them."""

    def __init__(self, images: Tensor | None) -> None:
        assert images is not None
        self._images = iter(torch.split(images.detach().cpu().float(), 1))

    def get_next(self) -> dict[str, Any] | None:
        """Return the next image; None at the end."""
        image = next(self._images, None)
        return None if image is None else {INPUT: image.numpy()}


def _score(graph: Path, batches: Batches, task: Task) -> float:
    session, found, count = open_session(graph), list[Tensor](), 0
    for images, targets in batches:
        outputs = run_session(session, images)
        checked = task.check_targets(images, targets, outputs.shape[1])
        found.append(task.statistics(outputs, checked).double().sum(0))
        count += len(images)
    scores = task.score(torch.stack(found).sum(0), count) if found else {}
    if task.scores[0] not in scores:
        raise ExportError(f"There are no {task.targets} by which quantized weights can be scored; give some.")
    return scores[task.scores[0]]
