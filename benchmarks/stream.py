"""Small JPEG images from class folders and from WebDataset shards, and entering an epoch of shards in its middle.

The embedded images are written as JPEG files, once as a folder per class and once as shards. Printed are images per
second of one training epoch of each (the sides alternate; medians), and the seconds until there is the batch in the
middle of an epoch, entered there and come to by reading the epoch up to it. Without workers, seconds are CPU seconds.

    python benchmarks/stream.py
    python benchmarks/stream.py --images 10000 --workers 2 --size 224
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import torch
import webdataset
from PIL import Image

from snnet.data import Request, TrainBatches, open_dataset
from snnet.data.embedded import open_embedded
from snnet.space import InputSpec

BATCH = 50


def jpegs(count: int, size: int) -> Iterator[tuple[str, bytes, int]]:
    """Yield key, content and label of images, `size` pixels wide and high."""
    source = open_embedded(Request("", None, "train", download=False))
    for index in range(count):
        image, label = source.read(index)
        buffer = io.BytesIO()
        image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        yield f"{index:06}", buffer.getvalue(), label


def write(root: Path, count: int, size: int, per_shard: int) -> None:
    """Write the images as `train/CLASS/KEY.jpg`, and as shards with their info file under `shards`."""
    (root / "shards").mkdir(parents=True)
    names: list[str] = []
    images = jpegs(count, size)
    while part := list(islice(images, per_shard)):
        names.append(f"train-{len(names):04}.tar")
        with webdataset.TarWriter(str(root / "shards" / names[-1])) as writer:
            for key, data, label in part:
                writer.write({"__key__": key, "jpg": data, "cls": label})
                path = root / "train" / str(label) / f"{key}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    lengths = [min(per_shard, count - first) for first in range(0, count, per_shard)]
    split = {"name": "train", "filenames": names, "shard_lengths": lengths, "num_samples": count}
    (root / "shards" / "_info.json").write_text(json.dumps({"splits": {"train": split}}))


def seconds(work: Callable[[], object], workers: int) -> float:
    """Return how long something takes, in CPU seconds where all of it is done by this process."""
    clock = time.perf_counter if workers else time.process_time
    begun = clock()
    work()
    return clock() - begun


def middle(batches: TrainBatches) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return two ways to the batch in the middle of an epoch: entered there, and read up to there."""
    half = len(batches) // 2
    return lambda: next(batches.epoch(0, half)), lambda: list(islice(batches.epoch(0), half + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--per-shard", type=int, default=200)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    spec = InputSpec((3, args.size, args.size), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "images"
        write(root, args.images, args.size, args.per_shard)
        sources = {"folder": root, "wds/images": root / "shards"}
        made = {
            name: TrainBatches(open_dataset(name, place, input=spec), BATCH, workers=args.workers)
            for name, place in sources.items()
        }
        times: dict[str, list[float]] = {name: [] for name in [*made, "enter", "read"]}
        ways = dict(zip(("enter", "read"), middle(made["wds/images"]), strict=True))
        for repeat in range(args.repeats):
            for name, batches in made.items():
                times[name].append(seconds(lambda b=batches, e=repeat: list(b.epoch(e)), args.workers))
            for name, way in ways.items():
                times[name].append(seconds(way, args.workers))
    folder, shards, enter, read = (median(each) for each in times.values())
    print(f"{args.images} JPEG images of {args.size} pixels, {args.workers} workers")
    print(f"folder  {args.images / folder:8.0f} images/s")
    print(f"shards  {args.images / shards:8.0f} images/s   {folder / shards:.2f} times the folder's")
    print(f"middle of an epoch, entered {enter:.3f} s, read through {read:.3f} s: {read / enter:.0f} times as fast")


if __name__ == "__main__":
    main()
