"""A bundle that many tests read, made once: exporting a step takes a second."""

import os
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from snnet.export.bundle import Bundle, write_bundle
from snnet.network import SNNet
from snnet.space import StitchSpace
from snnet.table import StitchRow, StitchTable
from tests.batch_norm_family import build_conv_net
from tests.conftest import build_tiny_anchor

STITCHES = ("0:0-2", "1:0-2", "0:0-1,1:1-2")


def build_small_net() -> SNNet:
    """Two ViTs of two blocks, and a table with costs and scores of the whole space."""
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, depth=2) for width in (16, 32)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    rows = [StitchRow(n, str(s), {"macs": 10.0 + n, "top1": 50.0 + n}) for n, s in enumerate(net.space)]
    net.table = StitchTable(rows, {"device": "cpu"})
    net.classes = tuple(f"class {number}" for number in range(10))
    return net


def build_normed_net() -> SNNet:
    """Two convolutional anchors, and running statistics for one stitch."""
    net = build_conv_net((4, 6))
    stitch = net.space[-1]
    values = {}
    for step, prefix in zip(net.steps(stitch), net.prefixes(stitch), strict=True):
        size = sum(2 * norm.num_features for norm in net.step_norms(step))
        if size:
            values[prefix] = torch.rand(size) + 0.5
    net.statistics.store(values)
    return net


@pytest.fixture(scope="session")
def small_net() -> SNNet:
    return build_small_net()


@pytest.fixture(scope="session")
def written(small_net: SNNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle on disk, to be read only, which all processes that test share."""
    pytest.importorskip("onnxruntime")
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "bundle"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            write_bundle(small_net, folder, STITCHES)
    return folder


@pytest.fixture(scope="session")
def bundle(written: Path) -> Bundle:
    return Bundle.open(written)
