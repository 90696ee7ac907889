"""Folders of images, one folder per class, as torchvision's `ImageFolder` and Hugging Face lay them out."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from snnet.data.corrupt import CorruptImageError, decode
from snnet.data.names import check_text, listed, look_alikes
from snnet.data.pairs import open_pairs
from snnet.data.sources import SOURCES, ImageSource, Request, SourcePart
from snnet.data.splits import SPLIT_NAMES, find_split, held_out, is_split
from snnet.data.walk import USUAL_ENDINGS, picture_endings, subfolders, walk
from snnet.errors import DataError
from snnet.utils import counted


class FolderSource(ImageSource):
    """The images of one folder whose sub-folders are the classes, in plain sorted order.

    Args:
        folder: Holds one sub-folder per class; images lie at any depth in it.
        classes: The classes there must be; None to take what there is.

    Raises:
        DataError: If there is no class folder, a class without images or that holds splits, or another class
            than `classes` has.
    """

    folder: Path
    labels: Sequence[int]

    def __init__(self, folder: Path, classes: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.classes = class_names(folder)
        if classes is not None:
            _check_same_classes(folder, self.classes, classes)
        found = walk([folder / name for name in self.classes], picture_endings())
        _check_no_splits_within(folder, self.classes, found.folders.values())
        self.folders, self.left_out = found.folders, found.left_out
        self.paths = [path for paths in found.files for path in paths]
        self.labels = [label for label, paths in enumerate(found.files) for _ in paths]
        places = (place for place, path in enumerate(self.paths) if path in found.dangling)
        self.faults = {place: f"{self.paths[place]} does not decode (a link to nothing)" for place in places}
        _check_none_empty(self, needed=classes is None)

    def read(self, index: int) -> tuple[Image.Image, int]:
        """Return an image and its label."""
        if index in self.faults:
            raise CorruptImageError(self.faults[index])
        return decode(self.paths[index], str(self.paths[index])), self.labels[index]

    def describe(self, index: int) -> str:
        """Return the path of an image."""
        return str(self.paths[index])

    def hold_out(self) -> tuple[SourcePart, SourcePart]:
        """Split into training and validation images, of each class one in five (at least one) for validation.

        Raises:
            DataError: If a class has a single image.
        """
        names: list[dict[int, Path]] = [{} for _ in self.classes]
        for place, label in enumerate(self.labels):
            names[label][place] = self.paths[place].relative_to(self.folder / self.classes[label])
        single = [name for name, members in zip(self.classes, names, strict=True) if len(members) < 2]
        if single:
            raise DataError(
                f"{self.folder} holds no splits, and no validation image can be held out where a class has a single "
                f"image: {listed(single)}; add images, or remove the folders."
            )
        return self.without(place for members in names for place in held_out(members))


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders, sorted.

    Raises:
        DataError: If there are none, or they are no text.
    """
    names = tuple(path.name for path in subfolders(folder))
    if names:
        check_text(folder, names)
        return names
    loose = sum(1 for path in folder.iterdir() if path.suffix.lower() in picture_endings())
    what = f"has {counted(loose, 'image')} but no class folders" if loose else "is empty: it has no class folders"
    raise DataError(f"{folder} {what}; put the images of each class into a folder of their own, {folder}/CLASS/x.jpg.")


def scanned_folders(root: Path) -> list[Path]:
    """Return the folders whose sub-folders are classes: those of the splits, or the root where it holds none."""
    return [path for path in subfolders(root) if is_split(path.name)] if _has_splits(root) else [root]


def check_outside(output: Path, name: str, root: Path | None) -> None:
    """Refuse an output that would become part of the images: a class without any, or training images.

    Args:
        output: What is to be written; it need not exist.
        name: Of the data set; of others than `folder` nothing is searched for classes.
        root: Of the data set.

    Raises:
        DataError: If it lies among the class folders.
    """
    place = None if root is None else root.expanduser()
    if name != "folder" or place is None or not place.is_dir():
        return
    for folder in scanned_folders(place):
        if output.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"The output {output} lies in {folder}, among the class folders of the images, and would be taken for "
                "one of them; choose an output outside."
            )


@SOURCES.register("folder")
def open_folder(request: Request) -> ImageSource:
    """Open `root/train/CLASS/*` and `root/val/CLASS/*`, or `root/CLASS/*` where the root holds no splits.

    Where masks or depth are asked for, see `open_pairs`.

    Raises:
        DataError: If the root has other splits but not this one.
    """
    if request.target.kind != "label":
        return open_pairs(request)
    root, split = request.folder("folder"), request.split
    if not _has_splits(root):
        return FolderSource(root)
    folder = _named(root, split)
    if folder is None:
        wanted = " or ".join(f"{root}/{name}" for name in SPLIT_NAMES[split])
        present = ", ".join(path.name for path in subfolders(root))
        raise DataError(f"{root} has no {split} images, only {present}; put them into {wanted}.")
    # Labels are positions among sorted names, so a class that one split lacks would shift all labels after it.
    trained = _named(root, "train") if split == "validation" else None
    return FolderSource(folder, class_names(trained) if trained else None)


def _named(root: Path, split: str) -> Path | None:
    name = find_split((path.name for path in subfolders(root)), split)
    return None if name is None else root / name


def _has_splits(root: Path) -> bool:
    # A class may well be called "train"; a split has folders inside.
    folders = subfolders(root)
    named = [path for path in folders if is_split(path.name)]
    return bool(named) and (len(named) == len(folders) or any(map(subfolders, named)))


def _check_no_splits_within(folder: Path, classes: Sequence[str], entered: Iterable[Path]) -> None:
    tops = {folder / name for name in classes}
    below = [path for path in entered if path not in tops]
    holding = {path.parent for path in below}
    # Further down only what holds folders itself is taken for a split.
    splits = sorted(path for path in below if is_split(path.name) and (path.parent in tops or path in holding))
    if splits:
        raise DataError(
            f"{folder} is taken to hold one folder per class ({listed(classes)}), and there are splits further down, "
            f"such as {splits[0]}; the root that was meant is probably {splits[0].parent}. If these are no splits, "
            "give the folders other names."
        )


def _check_same_classes(folder: Path, found: Sequence[str], expected: Sequence[str]) -> None:
    extra, missing = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    if extra or missing:
        faults = [f"classes that the training images lack: {listed(extra)}"] if extra else []
        faults += [f"no folder for: {listed(missing)}"] if missing else []
        raise DataError(
            f"{folder} has other classes than the training images ({'; '.join(faults + look_alikes(extra, missing))}); "
            "give both the same class folders."
        )


def _check_none_empty(source: FolderSource, needed: bool) -> None:
    # A validation split may lack images of a class (its folder is there), a training split may not.
    present = {label for place, label in enumerate(source.labels) if place not in source.faults}
    empty = [name for label, name in enumerate(source.classes) if label not in present]
    if empty and (needed or not present):
        raise DataError(
            f"{source.folder} has no image ({', '.join(USUAL_ENDINGS)}, ...) in the class folders {listed(empty)}; "
            "add images or remove the folders."
        )
