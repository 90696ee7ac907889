# Tested in tests/export/test_export.py.
"""The kinds of files: programs of `torch.export`, ONNX for whatever reads it, OpenVINO for Intel's CPUs and GPUs."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import torch
from torch import Tensor, nn

from snnet.errors import ExportError
from snnet.export.formats import EXPORTS, ExportFormat, OpenedFile
from snnet.export.onnx_graph import INPUT, OUTPUT, onnx_model
from snnet.export.program import export_program, quiet
from snnet.network import Given
from snnet.utils import require, write_aside, write_text

if TYPE_CHECKING:
    import openvino

FACTS = "snnet.json"
"""Name of the extra file in an archive of `torch.export` that holds the facts."""
LARGEST = 2**31 - 2**20
"""Bytes of weights above which they lie in a file of their own: one file of the format ends at 2 GiB."""
_PAGE = 4096


@EXPORTS.register("onnx")
class OnnxFile(ExportFormat):
    """`.onnx`, checked with onnxruntime; weights of 2 GiB and more lie beside it in a `.data` that it names."""

    suffix = ".onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def write(self, module: nn.Module, images: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        """Write the graph with the facts in its metadata."""
        onnx = require("onnx", "onnx")
        model = onnx_model(module, images)
        onnx.helper.set_model_props(model, dict(facts))
        size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
        beside = f"{path.name}.{uuid4().hex[:8]}.data"
        onnx.save_model(model, path, save_as_external_data=size > LARGEST, location=beside)

    def read(self, path: Path) -> OpenedFile:
        """Open the file with onnxruntime on the CPU."""
        ort = require("onnxruntime", "onnx")
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(images: Tensor) -> Tensor:
            return torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])

        return OpenedFile(run, session.get_modelmeta().custom_metadata_map)

    def place(self, written: Path, target: Path) -> None:
        """Move weights first, then the graph that names them, and remove the weights of earlier graphs."""
        kept = {file.name for file in written.parent.iterdir()}
        super().place(written, target)
        data = re.compile(rf"{re.escape(target.name)}(\.[0-9a-f]{{8}})?\.data")
        for file in list(target.parent.iterdir()):
            if data.fullmatch(file.name) and file.name not in kept:
                file.unlink(missing_ok=True)


@EXPORTS.register("openvino")
class OpenVinoFile(ExportFormat):
    """`.xml`, with the weights beside it in `.bin`."""

    suffix = ".xml"
    packages = ("openvino",)

    def write(self, module: nn.Module, images: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        """Write graph and weights with the facts in the graph's `rt_info`."""
        model = openvino_model(module, images)
        for name, text in facts.items():
            model.set_rt_info(text, name.split("."))
        # By default it would halve the weights to float16.
        require("openvino", "openvino").save_model(model, path, compress_to_fp16=False)

    def read(self, path: Path) -> OpenedFile:
        """Open the two files with OpenVINO on the CPU."""
        model = require("openvino", "openvino").Core().read_model(path)
        compiled = compile_openvino(model, torch.get_num_threads())

        def run(images: Tensor) -> Tensor:
            return torch.from_numpy(compiled(images.numpy(), share_outputs=False)[0])

        names = model.get_rt_info("snnet").astype(dict)
        return OpenedFile(run, {f"snnet.{name}": model.get_rt_info(["snnet", name]).astype(str) for name in names})

    def place(self, written: Path, target: Path) -> None:
        """Let graph and weights take the place of earlier ones, though no two files can be exchanged at once.

        OpenVINO finds the weights by name, and a graph says where in them each tensor begins. So for the time between,
        one file holds the weights of both: the old at its beginning and the new behind a gap that both fit into, and
        the new graph looks there, until they stand at the beginning, too. Every file on the way is whole.
        """
        new, old = written.with_suffix(".bin"), target.with_suffix(".bin")
        if target.exists() and old.exists():
            graph = written.read_text(encoding="utf-8")
            gap = -(-max(new.stat().st_size, old.stat().st_size) // _PAGE) * _PAGE
            for first, begin in ((old, gap), (new, 0)):
                with write_aside(old) as both:
                    _join(first, new, gap, both)
                write_text(target, _looking_from(begin, graph))
        else:
            target.unlink(missing_ok=True)  # half of an export
        new.replace(old)
        written.replace(target)


@EXPORTS.register("torch")
class TorchFile(ExportFormat):
    """`.pt2`, read by `torch.export.load`."""

    suffix = ".pt2"

    def write(self, module: nn.Module, images: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        """Write the program, its weights and the facts into one archive."""
        with quiet():
            torch.export.save(export_program(module, images), path, extra_files={FACTS: json.dumps(dict(facts))})

    def read(self, path: Path) -> OpenedFile:
        """Read the program and the facts."""
        extra = {FACTS: ""}
        with quiet():
            module = torch.export.load(path, extra_files=extra).module()

        @torch.no_grad()
        def run(images: Tensor) -> Tensor:
            logits: Tensor = module(images)
            return logits

        return OpenedFile(run, json.loads(extra[FACTS]))


def _looking_from(begin: int, graph: str) -> str:
    """Return a graph of OpenVINO that finds its tensors so many bytes further on."""
    place = re.compile(r'(<data [^>]*\boffset=")(\d+)(?=" size=")')
    return place.sub(lambda found: f"{found[1]}{int(found[2]) + begin}", graph)


def _join(first: Path, second: Path, gap: int, path: Path) -> None:
    """Write two files into one, the second from byte `gap` on."""
    with path.open("wb") as joined:
        for file, begin in ((first, 0), (second, gap)):
            joined.seek(begin)
            with file.open("rb") as source:
                shutil.copyfileobj(source, joined)


def openvino_model(module: nn.Module, images: Given) -> "openvino.Model":
    """Return a module as an OpenVINO model from `images` to `logits`, for any size of batch.

    Args:
        module: In evaluation mode, on the CPU.
        images: Example `(B, C, H, W)`, or what a step of a route takes; its numbers do not matter.

    Raises:
        ExportError: If the module cannot be converted.
        ExtraError: If OpenVINO is not installed.
    """
    convert = require("openvino", "openvino").convert_model
    program = export_program(module, images)
    try:
        with quiet():
            model: openvino.Model = convert(program)
        given = images if isinstance(images, tuple) else (images,)
        model.reshape({number: [-1, *each.shape[1:]] for number, each in enumerate(given)})
        model.inputs[0].get_tensor().set_names({INPUT})
        model.outputs[0].get_tensor().set_names({OUTPUT})
    except Exception as error:
        raise ExportError(f"OpenVINO cannot convert this stitch: {error}") from error
    return model


def compile_openvino(model: "openvino.Model", threads: int, precision: str = "fp32") -> "openvino.CompiledModel":
    """Return a model ready to run on the CPU.

    Args:
        model: The model.
        threads: Threads of a call.
        precision: What it computes in, `fp32` or `bf16`. A machine with kernels for bfloat16 would otherwise use them.
    """
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled: openvino.CompiledModel = require("openvino", "openvino").Core().compile_model(model, "CPU", settings)
    return compiled
