"""One stitch as a file that other programs run."""

from snnet.export.onnx_graph import INPUT, OUTPUT, onnx_model

__all__ = ["INPUT", "OUTPUT", "onnx_model"]
