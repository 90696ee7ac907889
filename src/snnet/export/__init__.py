"""One stitch as a file that other programs run."""

# Imported for their names in the registry.
from snnet.export import onnx_file as _onnx_file
from snnet.export import openvino_file as _openvino_file
from snnet.export import torch_file as _torch_file
from snnet.export.export import ExportReport, export_stitch, format_of, real_images
from snnet.export.facts import stitch_facts
from snnet.export.formats import EXPORTS, ExportFormat, OpenedFile
from snnet.export.onnx_graph import INPUT, OUTPUT, onnx_model
from snnet.export.openvino_file import compile_openvino, openvino_model

__all__ = [
    "EXPORTS",
    "INPUT",
    "OUTPUT",
    "ExportFormat",
    "ExportReport",
    "OpenedFile",
    "compile_openvino",
    "export_stitch",
    "format_of",
    "onnx_model",
    "openvino_model",
    "real_images",
    "stitch_facts",
]
_MODULES = (_onnx_file, _openvino_file, _torch_file)
