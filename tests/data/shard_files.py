"""Write small shards of a WebDataset with webdataset's own writer."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from PIL import Image


def jpeg(seed: int) -> bytes:
    """A small image; its first pixel tells it from others."""
    pixels = np.random.default_rng(seed).integers(0, 256, (34, 34, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def sample(number: int) -> dict[str, Any]:
    return {"__key__": f"s{number:04}", "jpg": jpeg(number), "cls": number % 2}


def write_shard(path: Path, samples: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path)) as writer:
        for each in samples:
            writer.write(dict(each))
    return path


def write_shards(root: Path, lengths: Sequence[int], split: str = "train", info: bool = False) -> list[Path]:
    """Write one shard per length, samples numbered through, and an info file if wanted."""
    paths, first = [], 0
    for number, length in enumerate(lengths):
        numbers = range(first, first + length)
        paths.append(write_shard(root / f"{split}-{number:04}.tar", [sample(n) for n in numbers]))
        first += length
    if info:
        entry = {"name": split, "num_samples": sum(lengths), "shard_lengths": list(lengths)}
        entry["filenames"] = [path.name for path in paths]
        file = root / "_info.json"
        before = json.loads(file.read_text()) if file.is_file() else {"splits": {}}
        file.write_text(json.dumps({**before, "splits": {**before["splits"], split: entry}}))
    return paths


def replace_sample(path: Path, number: int, files: Mapping[str, Any], count: int, first: int = 0) -> None:
    """Write a shard of `count` samples anew, one of them with other files."""
    samples = [sample(first + n) for n in range(count)]
    samples[number] = {"__key__": samples[number]["__key__"], **files}
    write_shard(path, samples)
