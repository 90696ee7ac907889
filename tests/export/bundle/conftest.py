"""Bundles are written and opened with onnxruntime."""

import pytest

pytest.importorskip("onnxruntime")
