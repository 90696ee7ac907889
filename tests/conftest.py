"""Small networks and data that tests share."""

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from snnet.anchors import Anchor, AnchorSource, load_anchor
from snnet.network import SNNet
from snnet.space import StitchSpace

pytest_plugins = ["tests.browser", "tests.bundles", "tests.dense"]
# Processes that tests start: threads that wait for a core spin, and cost more than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

WIDTHS, DEPTH = (16, 32, 48), 4
REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


def pytest_collection_finish() -> None:
    """What was imported stays: to look through it for garbage again and again takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_sessionfinish() -> None:
    gc.unfreeze()


def build_tiny_anchor(width: int, depth: int = DEPTH, **kwargs: object) -> Anchor:
    """A ViT for 28x28 grey images with 10 classes and random weights."""
    size = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "num_heads": 2}
    source = AnchorSource.of("vit_tiny_patch16_224", embed_dim=width, depth=depth, **{**size, **kwargs})
    return load_anchor(source)


def build_tiny_net(**space: object) -> SNNet:
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width) for width in WIDTHS]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors], **space))  # type: ignore[arg-type]
    return net.eval()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny forward passes gain nothing from more threads, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def operators_listed_once() -> Iterator[None]:
    """For each export torch lists anew its operators, and what ONNX can express, longer than it exports a tiny step."""
    from torch.export import decomp_utils, exported_program
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        listed = cache(exported_program._collect_all_valid_cia_ops)  # never changed by those who ask
        for module in (decomp_utils, exported_program):
            patch.setattr(module, "_collect_all_valid_cia_ops", listed)
        yield


@pytest.fixture
def tiny_anchors() -> list[Anchor]:
    torch.manual_seed(0)
    return [build_tiny_anchor(width) for width in WIDTHS]


@pytest.fixture
def tiny_net() -> SNNet:
    """Three 4-block ViTs of widths 16, 32 and 48, stitched with the default space."""
    return build_tiny_net()


@pytest.fixture
def reference_dir() -> Path:
    """The published per-stitch tables."""
    if not REFERENCE.is_dir():
        pytest.skip(f"the published tables are not at {REFERENCE}")
    return REFERENCE
