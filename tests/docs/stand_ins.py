"""What pages take for given, made small: a trained network, folders of images, and little of the embedded data."""

import tarfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snnet.data import SOURCES, ArraySource, Images, Request, TrainBatches
from snnet.data.embedded import open_embedded
from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.space import StitchSpace
from tests.conftest import build_tiny_anchor


def trained_network(folder: Path) -> None:
    """Write `runs/mine`: two small ViTs of 12 blocks with random weights, and scores in which five stitches lead."""
    torch.manual_seed(0)
    anchors = [build_tiny_anchor(width, depth=12) for width in (16, 32)]
    net = SNNet(anchors, StitchSpace.build([anchor.depths for anchor in anchors])).eval()
    table = count_costs(net)
    most = max(row.macs for row in table)
    scores = {row.stitch: 85 * row.macs / most if row.index in (0, 1, 9, 17, 25) else 1.0 for row in table}
    net.table = table.with_column("top1", scores)
    net.save_pretrained(folder / "runs" / "mine")


def picture(*seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8))


def pictures(folder: Path) -> None:
    """Write pictures for prediction, `ROOT` with ten classes for training and validation, and the same as `SHARDS`."""
    for name in ("photo.jpg", "other.jpg", "more/a.jpg", "photos/b.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        picture(0).save(folder / name)
    (folder / "SHARDS").mkdir()
    for split, count in (("train", 7), ("val", 2)):
        with tarfile.open(folder / "SHARDS" / f"{split}-0000.tar", "w") as shard:
            for label, number in product(range(10), range(count)):
                path = folder / "ROOT" / split / f"class{label}" / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(label, number).save(path)
                key = folder / f"{label}{number}.cls"
                key.write_text(str(label))
                shard.add(path, f"{label}{number}.jpg")
                shard.add(key, key.name)
                key.unlink()


def little_data(patch: pytest.MonkeyPatch) -> None:
    """Let the embedded data have a few images only, and the batches that a page makes of them four."""

    def load(request: Request) -> ArraySource:
        whole, count = open_embedded(request), 512 if request.split == "train" else 32
        return ArraySource(whole.pixels[:count], whole.labels[:count], whole.classes)

    def batches(images: Images, batch_size: int, *others: Any, **named: Any) -> TrainBatches:
        return TrainBatches(images, min(batch_size, 4), *others, **named)

    patch.setattr("snnet.data.TrainBatches", batches)
    patch.setitem(SOURCES._entries, "embedded", load)
