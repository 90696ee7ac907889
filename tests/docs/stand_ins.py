"""What pages take for given, made small: a trained network, folders of images, and little of the embedded data."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.data import SOURCES, ArraySource, Request
from snnet.data.embedded import load_embedded
from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.space import StitchSpace
from tests.conftest import build_tiny_anchor


def trained_network(folder: Path) -> None:
    """Write `runs/mine`: two small ViTs of 12 blocks and 36 stitches, with random weights and made-up scores."""
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, depth=12) for width in (16, 32)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    table = count_costs(net)
    net.table = table.with_column("top1", {row.stitch: 60 + 20 * row.index / len(table) for row in table})
    net.save_pretrained(folder / "runs" / "mine")


def folder_of_images(folder: Path) -> None:
    """Write `ROOT`: JPEGs of ten classes for training and validation."""
    for split, count in (("train", 7), ("val", 2)):
        for label in range(10):
            place = folder / "ROOT" / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                pixels = np.random.default_rng([label, number]).integers(0, 256, (32, 32), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.jpg")


def little_data(patch: pytest.MonkeyPatch) -> None:
    """Let the embedded data have a few images only."""

    def load(request: Request) -> ArraySource:
        whole, count = load_embedded(request.split), 512 if request.split == "train" else 32
        return ArraySource(whole.pixels[:count], whole.labels[:count], whole.classes)

    patch.setitem(SOURCES._entries, "embedded", load)
