"""Open data sets by name."""

import logging
import math
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from snnet.data.dense import DenseAugmentation, transforms_of
from snnet.data.folder import FolderSource
from snnet.data.images import ImageDataset, Images, TensorImages, target_of
from snnet.data.sources import SOURCES, ImageSource, Request
from snnet.data.splits import SPLITS
from snnet.data.targets import TargetKind, TargetSettings
from snnet.data.transforms import Augmentation
from snnet.data.walk import subfolders
from snnet.errors import DataError, did_you_mean
from snnet.space import InputSpec
from snnet.utils import counted

_log = logging.getLogger(__name__)

_IN_MEMORY_BYTES = 2**30


def open_dataset(
    name: str,
    root: str | Path | None = None,
    split: str = "train",
    *,
    input: InputSpec,
    augment: Augmentation | DenseAugmentation | None = None,
    num_classes: int | None = None,
    max_corrupt: int | None = None,
    download: bool = False,
    upright: bool = True,
    target: TargetKind | TargetSettings = "label",
) -> Images:
    """Open one split of a data set, with its images made to fit a network's input.

    Small data sets that hold their pixels as one array of the network's height and width become tensors in memory,
    taken as they are (no resize or crop), unless single-image augmentation is asked for.

    Args:
        name: `embedded`, `scenes`, `folder`, `torchvision/NAME`, or a timm name: `torch/NAME`, `hfds/NAME`, `wds/NAME`.
        root: Folder of the data; for `folder`, it holds `train/CLASS/` and `val/CLASS/`, or the classes of one split.
        split: `train` or `validation` (which is the test set where there is no other).
        input: What the anchors take; grey and RGB are converted as needed.
        augment: How single training images are varied; None for clean images. `DenseAugmentation` with dense targets.
        num_classes: How many classes there must be; None to take what there is. Depth has none.
        max_corrupt: Most images that may be skipped because they do not decode; by default one in a hundred, and at
            least 10.
        download: Whether missing data may be fetched over the network.
        upright: Turn pictures as their EXIF data say; False reads them as timm does.
        target: What comes with each image: `label`, `mask` (a class for each pixel) or `depth`, or how to read it.

    Raises:
        DataError: If there is no such data set, the data is missing or unusable, or its classes are another number.
        RecipeError: If the augmentation is for targets of another kind.
    """
    request = _request(name, root, split, input, target, download=download)
    images = _open(request, input, augment, num_classes, max_corrupt, upright=upright)
    # What lies in memory as it is taken is no news.
    level = logging.DEBUG if isinstance(images, TensorImages) else logging.INFO
    _tell(f"{where(name, root)}: {counted(len(images), 'image')} of the {split} split", images, input, level=level)
    return images


def _request(
    name: str,
    root: str | Path | None,
    split: str,
    input: InputSpec,
    target: TargetKind | TargetSettings,
    *,
    download: bool,
) -> Request:
    settings = TargetSettings(kind=target) if isinstance(target, str) else target
    place = None if root is None else Path(root).expanduser()
    return Request(name, place, split, download, settings, input.size[1:])


def _open(
    request: Request,
    input: InputSpec,
    augment: Augmentation | DenseAugmentation | None,
    num_classes: int | None,
    max_corrupt: int | None,
    *,
    upright: bool,
) -> Images:
    name, split, kind = request.name, request.split, request.target.kind
    if split not in SPLITS:
        raise DataError(f"Unknown split {split!r}; accepted: {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}")
    family, _, rest = name.partition("/")
    if family not in SOURCES.names() and Path(name).expanduser().is_dir():
        raise DataError(f"Unknown data set {name!r}; it is a folder: open 'folder' with root={name!r}.")
    if family not in SOURCES.names():
        accepted = "embedded, folder, torchvision/NAME, torch/NAME, hfds/NAME, wds/NAME, scenes"
        hint = did_you_mean(family.lower(), SOURCES.names())
        raise DataError(f"Unknown data set {name!r}; accepted: {accepted}.{hint}")
    transform, clean = transforms_of(kind, input, augment, upright=upright)
    source = SOURCES.get(family)(replace(request, name=rest))
    request.check_target(where(name, request.root), source.target)
    # Dense targets take 8 bytes a pixel.
    needed = len(source) * (4 * math.prod(input.size) + (8 * math.prod(input.size[1:]) if kind != "label" else 0))
    held = source.in_memory(input.size[1:]) if augment is None and needed <= _IN_MEMORY_BYTES else None
    images = ImageDataset(source, transform, clean, max_corrupt) if held is None else TensorImages.of(held, input)
    return _checked(images, where(name, request.root), num_classes if kind != "depth" else None)


def open_pair(
    name: str,
    root: str | Path | None = None,
    *,
    input: InputSpec,
    augment: Augmentation | DenseAugmentation | None = None,
    num_classes: int | None = None,
    max_corrupt: int | None = None,
    download: bool = False,
    upright: bool = True,
    target: TargetKind | TargetSettings = "label",
) -> tuple[Images, Images]:
    """Open the training split, augmented, and the validation split, clean; the arguments are `open_dataset`'s.

    Where a folder holds classes but no splits, one image in five of each class is held out for validation, always the
    same ones. What was found is logged: as a warning where images are held out or files left out.

    Raises:
        DataError: Also if the two have different classes or images in common, if there is a single class, or if a class
            has a single image where some must be held out.
    """
    request, here = _request(name, root, "train", input, target, download=download), where(name, root)
    open_split = partial(_open, input=input, num_classes=num_classes, max_corrupt=max_corrupt, upright=upright)
    train = open_split(request, augment=augment)
    if len(train.classes) == 1:
        raise DataError(
            f"{here} has a single class, {train.classes[0]!r}, and there is nothing to tell apart{_below(train)}."
        )
    source = getattr(train, "source", None)
    if source is not None and request.root is not None and source.folder == request.root:
        return _held_out(train, source, input)
    validation = open_split(replace(request, split="validation"), augment=None)
    _check_apart(train, validation, here)
    told = f"{here}: {counted(len(train), 'image')} for training and {len(validation):,} for validation"
    _tell(told, train, input, validation)
    return train, validation


def _below(images: Images) -> str:
    source = getattr(images, "source", None)
    inner = isinstance(source, FolderSource) and [*subfolders(source.folder / source.classes[0])]
    return f"; the root that was meant is probably {inner[0].parent}" if inner else ""


def _check_apart(train: Images, validation: Images, here: str) -> None:
    first, second = (getattr(images, "source", None) for images in (train, validation))
    if first is not None and second is not None:
        shared = [path for this, path in second.folders.items() if this in first.folders]
        if shared:
            raise DataError(
                f"{first.folder} and {second.folder} are one folder or share {shared[0]}, so training and validation "
                "images would be the same; link other images for one of them."
            )
    shards = [{shard.path for shard in getattr(source, "shards", ())} for source in (first, second)]
    if set.intersection(*shards):
        raise DataError(f"{here} has shards that are both for training and for validation; list others.")
    if train.classes != validation.classes:
        one, other = (f"{len(part.classes)} ({_some(part.classes)})" for part in (train, validation))
        raise DataError(
            f"{here} has other classes for training than for validation: {one} and {other}; both need the same, in "
            "the same order."
        )


def _held_out(images: Images, source: ImageSource, input: InputSpec) -> tuple[ImageDataset, ImageDataset]:
    assert isinstance(images, ImageDataset)
    parts = source.hold_out()
    what, splits = source.layout
    told = (
        f"{source.folder} holds {what} but no splits: of its {counted(len(images), 'image')}, {len(parts[0]):,} are "
        f"for training and {len(parts[1])} are held out for validation (to choose them yourself, move them into "
        f"{splits})"
    )
    _tell(told, images, input, level=logging.WARNING)
    clean = images.clean_transform
    ways = zip(parts, (images.transform, clean), strict=True)
    train, validation = (ImageDataset(part, way, clean, images.max_corrupt) for part, way in ways)
    train.classes = validation.classes = images.classes
    return train, validation


def _tell(told: str, images: Images, input: InputSpec, *others: Images, level: int = logging.INFO) -> None:
    """Log, once, what was found and what becomes of it."""
    sources = [source for part in (images, *others) if (source := getattr(part, "source", None))]
    left_out = sum((Counter(source.left_out) for source in sources), Counter[str]())
    lost = sum(len(source.faults) for source in sources)
    height, width = input.size[1:]
    named = counted(len(images.classes), "class") if images.classes else "unnamed classes"
    parts = [told, "with depth" if target_of(images) == "depth" else named]
    parts.append(f"read as {width}x{height} pixels in {'grey' if input.size[0] == 1 else 'RGB'}")
    parts += [f"links to nothing: {lost}"] if lost else []
    kinds = ", ".join(f"{count} {ending}" for ending, count in left_out.most_common())
    parts += [f"left out, by ending: {kinds}"] if kinds else []
    _log.log(logging.WARNING if lost or kinds else level, "%s.", "; ".join(parts))


def where(name: str, root: str | Path | None) -> str:
    """Return what to call a data set in messages."""
    return name if root is None else f"{name} under {root}"


def _checked(images: Images, where: str, num_classes: int | None) -> Images:
    if not len(images):
        raise DataError(f"{where} has no images.")
    if isinstance(images, ImageDataset) and num_classes is not None:
        images.name_classes(num_classes)
    if not images.classes and target_of(images) == "mask":
        raise DataError(
            f"{where} does not say which classes its masks have; put classes.txt beside them, with one name a line in "
            "the order of their numbers, or give num_classes."
        )
    if num_classes is not None and len(images.classes) != num_classes:
        raise DataError(
            f"{where} has {counted(len(images.classes), 'class')} ({_some(images.classes)}) but the network has "
            f"{num_classes}; use data with {counted(num_classes, 'class')}, or stitch anchors with "
            f"num_classes={len(images.classes)}."
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
