"""Folders of images, one folder per class, as torchvision's `ImageFolder` and Hugging Face lay them out."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from snnet.data.corrupt import decode
from snnet.data.pictures import EXTENSIONS, pictures_in
from snnet.data.sources import SOURCES, ImageSource, Request, SourcePart
from snnet.errors import DataError

SPLIT_FOLDERS = {"train": ("train", "training"), "validation": ("validation", "val", "valid", "test", "eval")}
# One in so many images of a class is for validation where a folder has no splits.
HELD_OUT = 5
_SPLIT_NAMES = {name for names in SPLIT_FOLDERS.values() for name in names}


class FolderSource(ImageSource):
    """The images of one folder whose sub-folders are the classes, in plain sorted order.

    Args:
        folder: Holds one sub-folder per class; images lie at any depth in it.
        classes: The classes there must be; None to take what there is.

    Raises:
        DataError: If there is no class folder, a class without images, or another class than `classes` has.
    """

    labels: Sequence[int]

    def __init__(self, folder: Path, classes: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.classes = class_names(folder)
        if classes is not None:
            _check_same_classes(folder, self.classes, classes)
        found = [(path, label) for label, name in enumerate(self.classes) for path in pictures_in(folder / name)]
        self.paths = [path for path, _ in found]
        self.labels = [label for _, label in found]
        _check_none_empty(self, needed=classes is None)

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        return decode(self.paths[index], str(self.paths[index])), self.labels[index]


def hold_out(whole: FolderSource) -> tuple[SourcePart, SourcePart]:
    """Split a folder into training and validation images, of each class one in five (at least one) for validation.

    The choice depends on nothing but the names of the files within the class, so it is the same everywhere.

    Raises:
        DataError: If a class has a single image.
    """
    places: list[list[int]] = [[] for _ in whole.classes]
    for place, label in enumerate(whole.labels):
        places[label].append(place)
    single = [name for name, members in zip(whole.classes, places, strict=True) if len(members) < 2]
    if single:
        raise DataError(
            f"{whole.folder} holds no splits, and no validation image can be held out where a class has a single "
            f"image: {_listed(single)}; add images, or remove the folders."
        )

    def digest(place: int) -> str:
        name = whole.paths[place].relative_to(whole.folder / whole.classes[whole.labels[place]])
        return hashlib.sha256(os.fsencode(name.as_posix())).hexdigest()

    held = {p for members in places for p in sorted(members, key=digest)[: max(1, len(members) // HELD_OUT)]}
    everything = range(len(whole))
    return SourcePart(whole, [p for p in everything if p not in held]), SourcePart(whole, sorted(held))


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders, sorted.

    Raises:
        DataError: If there are none.
    """
    names = tuple(path.name for path in _subfolders(folder))
    if names:
        return names
    loose = sum(1 for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS)
    what = f"has {loose} images but no class folders" if loose else "is empty: it has no class folders"
    raise DataError(f"{folder} {what}; put the images of each class into a folder of their own, {folder}/CLASS/x.jpg.")


@SOURCES.register("folder")
def open_folder(request: Request) -> FolderSource:
    """Open `root/train/CLASS/*` and `root/val/CLASS/*`, or `root/CLASS/*` where the root holds no splits.

    Raises:
        DataError: If the root has other splits but not this one.
    """
    root, split = request.folder("folder"), request.split
    if not _has_splits(root):
        return FolderSource(root)
    folder = _named(root, split)
    if folder is None:
        wanted = " or ".join(f"{root}/{name}" for name in SPLIT_FOLDERS[split])
        present = ", ".join(path.name for path in _subfolders(root))
        raise DataError(f"{root} has no {split} images, only {present}; put them into {wanted}.")
    # Labels are positions among sorted names, so a class that one split lacks would shift all labels after it.
    trained = _named(root, "train") if split == "validation" else None
    return FolderSource(folder, class_names(trained) if trained else None)


def _named(root: Path, split: str) -> Path | None:
    return next((root / name for name in SPLIT_FOLDERS[split] if (root / name).is_dir()), None)


def _has_splits(root: Path) -> bool:
    # A class may well be called "train"; a split has folders inside.
    folders = _subfolders(root)
    named = [path for path in folders if path.name in _SPLIT_NAMES]
    return bool(named) and (len(named) == len(folders) or any(_subfolders(path) for path in named))


def _subfolders(folder: Path) -> list[Path]:
    # macOS leaves __MACOSX in archives, tools leave .cache and the like; neither is a class.
    paths = (path for path in folder.iterdir() if path.is_dir())
    return sorted(path for path in paths if path.name != "__MACOSX" and not path.name.startswith("."))


def _check_same_classes(folder: Path, found: Sequence[str], expected: Sequence[str]) -> None:
    extra, missing = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    if extra or missing:
        faults = [f"classes that the training images lack: {_listed(extra)}"] if extra else []
        faults += [f"no folder for: {_listed(missing)}"] if missing else []
        raise DataError(
            f"{folder} has other classes than the training images ({'; '.join(faults)}); "
            "give both the same class folders."
        )


def _check_none_empty(source: FolderSource, needed: bool) -> None:
    # A validation split may lack images of a class (its folder is there), a training split may not.
    present = set(source.labels)
    empty = [name for label, name in enumerate(source.classes) if label not in present]
    if empty and (needed or not present):
        raise DataError(
            f"{source.folder} has no image ({', '.join(EXTENSIONS)}) in the class folders {_listed(empty)}; "
            "add images or remove the folders."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")
