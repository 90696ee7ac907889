"""Open data sets by name."""

import logging
import math
from functools import partial
from pathlib import Path
from typing import TypeAlias

import torch

from snnet.data.folder import FolderSource, hold_out
from snnet.data.images import ImageDataset, TensorImages
from snnet.data.sources import SOURCES, ArraySource, Request
from snnet.data.transforms import Augmentation, CleanTransform, train_transform
from snnet.errors import DataError, did_you_mean
from snnet.space import InputSpec

Images: TypeAlias = ImageDataset | TensorImages
"""A split of a data set, whichever way it is read."""

_log = logging.getLogger(__name__)

SPLITS = ("train", "validation")
_IN_MEMORY_BYTES = 2**30


def open_dataset(
    name: str,
    root: str | Path | None = None,
    split: str = "train",
    *,
    input: InputSpec,
    augment: Augmentation | None = None,
    num_classes: int | None = None,
    max_corrupt: int | None = None,
    download: bool = False,
) -> Images:
    """Open one split of a data set, with its images made to fit a network's input.

    Small data sets that hold their pixels as one array of the network's height and width become tensors in memory,
    taken as they are (no resize or crop), unless single-image augmentation is asked for.

    Args:
        name: `embedded`, `folder`, `torchvision/NAME`, or a timm name: `torch/NAME`, `hfds/NAME`, `wds/NAME`.
        root: Folder of the data; for `folder`, it holds `train/CLASS/` and `val/CLASS/`, or the classes of one split.
        split: `train` or `validation` (which is the test set where there is no other).
        input: What the anchors take; grey and RGB are converted as needed.
        augment: How single training images are varied; None for clean images.
        num_classes: How many classes there must be; None to take what there is.
        max_corrupt: Most images that may be skipped because they do not decode; by default one in a hundred, and at
            least 10.
        download: Whether missing data may be fetched over the network.

    Raises:
        DataError: If there is no such data set, the data is missing or unusable, or its classes are another number.
    """
    if split not in SPLITS:
        raise DataError(f"Unknown split {split!r}; accepted: {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}")
    kind, _, rest = name.partition("/")
    if kind not in SOURCES.names() and Path(name).expanduser().is_dir():
        raise DataError(f"Unknown data set {name!r}; it is a folder: open 'folder' with root={name!r}.")
    if kind not in SOURCES.names():
        accepted = "embedded, folder, torchvision/NAME, torch/NAME, hfds/NAME, wds/NAME"
        hint = did_you_mean(kind.lower(), SOURCES.names())
        raise DataError(f"Unknown data set {name!r}; accepted: {accepted}.{hint}")
    source = SOURCES.get(kind)(Request(rest, Path(root).expanduser() if root is not None else None, split, download))
    clean = CleanTransform(input)
    if isinstance(source, ArraySource) and augment is None:
        same_size = tuple(source.pixels.shape[1:3]) == tuple(input.size[1:])
        if same_size and 4 * len(source) * math.prod(input.size) <= _IN_MEMORY_BYTES:
            return _checked(TensorImages.of(source, input), name, root, num_classes)
    transform = train_transform(input, augment) if augment is not None else clean
    return _checked(ImageDataset(source, transform, clean, max_corrupt), name, root, num_classes)


def open_pair(
    name: str,
    root: str | Path | None = None,
    *,
    input: InputSpec,
    augment: Augmentation | None = None,
    num_classes: int | None = None,
    max_corrupt: int | None = None,
    download: bool = False,
) -> tuple[Images, Images]:
    """Open the training split, augmented, and the validation split, clean; the arguments are `open_dataset`'s.

    Where a folder holds classes but no splits, one image in five of each class is held out for validation, always the
    same ones, and a warning is logged.

    Raises:
        DataError: Also if the two have different classes or are the very same images, or if a class has a single image
            where some must be held out.
    """
    open_split = partial(
        open_dataset, name, root, input=input, num_classes=num_classes, max_corrupt=max_corrupt, download=download
    )
    train, validation = open_split(split="train", augment=augment), open_split(split="validation")
    sources = [getattr(images, "source", None) for images in (train, validation)]
    folders = [source.folder for source in sources if isinstance(source, FolderSource)]
    if len(folders) == 2 and folders[0] == folders[1]:
        return _held_out(train)
    if len(folders) == 2 and folders[0].samefile(folders[1]):
        raise DataError(
            f"{folders[0]} and {folders[1]} are one folder, so training and validation images would be the same; "
            "link other images for one of them."
        )
    if set.intersection(*({shard.path for shard in getattr(source, "shards", ())} for source in sources)):
        raise DataError(f"{name} under {root} has shards that are both for training and for validation; list others.")
    if train.classes != validation.classes:
        first, second = (f"{len(part.classes)} ({_some(part.classes)})" for part in (train, validation))
        raise DataError(
            f"{name} under {root} has other classes for training than for validation: {first} and {second}; "
            "both need the same, in the same order."
        )
    return train, validation


def _held_out(images: Images) -> tuple[ImageDataset, ImageDataset]:
    assert isinstance(images, ImageDataset) and isinstance(images.source, FolderSource)
    first, second = hold_out(images.source)
    _log.warning(
        "%s holds classes but no splits: of its %d images, %d are for training and %d are held out for validation; "
        "to choose them yourself, move them into train/CLASS and validation/CLASS.",
        images.source.folder,
        len(images),
        len(first),
        len(second),
    )
    clean, limit = images.clean_transform, images.max_corrupt
    return ImageDataset(first, images.transform, clean, limit), ImageDataset(second, clean, clean, limit)


def _checked(images: Images, name: str, root: str | Path | None, num_classes: int | None) -> Images:
    where = f"{name} under {root}" if root is not None else name
    if not len(images):
        raise DataError(f"{where} has no images.")
    if isinstance(images, ImageDataset) and num_classes is not None:
        images.name_classes(num_classes)
    if num_classes is not None and len(images.classes) != num_classes:
        raise DataError(
            f"{where} has {len(images.classes)} classes ({_some(images.classes)}) but the network has {num_classes}; "
            f"use data with {num_classes} classes, or stitch anchors with num_classes={len(images.classes)}."
        )
    return images


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def fixed_choice(images: Images, count: int | None) -> Images:
    """Return a choice of so many images, the same for everyone, in their order."""
    if count is None or count >= len(images):
        return images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images.some(order[:count].sort().values.tolist())
