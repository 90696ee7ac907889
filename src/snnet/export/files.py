# Tested in tests/export/test_export.py.
"""The kinds of files: programs of `torch.export`, ONNX for whatever reads it, OpenVINO for Intel's CPUs and GPUs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnet.errors import ExportError
from snnet.export.formats import EXPORTS, ExportFormat, OpenedFile
from snnet.export.onnx_graph import INPUT, OUTPUT, onnx_model
from snnet.export.program import export_program, quiet
from snnet.utils import require

if TYPE_CHECKING:
    import openvino

FACTS = "snnet.json"
"""Name of the extra file in an archive of `torch.export` that holds the facts."""
LARGEST = 2**31 - 2**20
"""Bytes of weights above which they lie in a file of their own: one file of the format ends at 2 GiB."""


@EXPORTS.register("onnx")
class OnnxFile(ExportFormat):
    """`.onnx`, checked with onnxruntime; weights of 2 GiB and more lie beside it in `.onnx.data`."""

    suffix = ".onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def write(self, module: nn.Module, images: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        """Write the graph with the facts in its metadata."""
        onnx = require("onnx", "onnx")
        model = onnx_model(module, images)
        onnx.helper.set_model_props(model, dict(facts))
        size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
        onnx.save_model(model, path, save_as_external_data=size > LARGEST, location=f"{path.name}.data")

    def read(self, path: Path) -> OpenedFile:
        """Open the file with onnxruntime on the CPU."""
        ort = require("onnxruntime", "onnx")
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(images: Tensor) -> Tensor:
            return torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])

        return OpenedFile(run, session.get_modelmeta().custom_metadata_map)


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


def openvino_model(module: nn.Module, images: Tensor) -> "openvino.Model":
    """Return a module as an OpenVINO model from `images` to `logits`, for any size of batch.

    Args:
        module: In evaluation mode, on the CPU.
        images: Example `(B, C, H, W)`, or features for a step of a route; its numbers do not matter.

    Raises:
        ExportError: If the module cannot be converted.
        ExtraError: If OpenVINO is not installed.
    """
    convert = require("openvino", "openvino").convert_model
    program = export_program(module, images)
    try:
        with quiet():
            model: openvino.Model = convert(program)
        model.reshape([-1, *images.shape[1:]])
        model.inputs[0].get_tensor().set_names({INPUT})
        model.outputs[0].get_tensor().set_names({OUTPUT})
    except Exception as error:
        raise ExportError(f"OpenVINO cannot convert this stitch: {error}") from error
    return model


def compile_openvino(model: "openvino.Model", threads: int) -> "openvino.CompiledModel":
    """Return a model ready to run on the CPU, in the numbers that its weights have.

    Machines with kernels for bfloat16 would otherwise compute in that, three digits long.
    """
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled: openvino.CompiledModel = require("openvino", "openvino").Core().compile_model(model, "CPU", settings)
    return compiled
