"""Write small real image files."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, seed: int, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (40, 50, 3) if mode == "RGB" else (40, 50)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)


def write_split(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), per_class: int = 6) -> Path:
    """Write PNG and JPEG files, color and grey, one folder per class."""
    for label, name in enumerate(classes):
        for i in range(per_class):
            mode = "L" if i == 1 else "RGB"
            write_image(folder / name / f"{i}.{'png' if i % 2 else 'jpg'}", 100 * label + i, mode)
    return folder


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:200])
    return path
