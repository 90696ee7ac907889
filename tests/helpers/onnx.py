"""Graphs run by onnxruntime as it is, without this library."""

from typing import Any

import pytest

ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")


def open_session(model: Any) -> Any:
    """Open an ONNX model on one thread: those that onnxruntime starts by itself spin while they wait."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
