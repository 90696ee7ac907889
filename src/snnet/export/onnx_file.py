# Tested in tests/export/test_export.py.
"""A stitch as an ONNX file, for onnxruntime, TensorRT and whatever else reads the format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnet.export.formats import EXPORTS, ExportFormat, OpenedFile
from snnet.export.onnx_graph import INPUT, OUTPUT, onnx_model
from snnet.utils import require

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
