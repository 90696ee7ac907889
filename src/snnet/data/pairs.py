"""Folders of images and folders of their masks or depth maps, in the layouts in which they usually lie."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import ClassVar

from PIL import Image
from torch import Tensor

from snnet.data.corrupt import CorruptImageError, decode
from snnet.data.masks import Legend, read_legend, read_target
from snnet.data.sources import ImageSource, Request, SourcePart
from snnet.data.splits import SPLIT_NAMES, find_split, held_out, is_split
from snnet.data.targets import TargetSettings
from snnet.data.walk import Identity, picture_endings, subfolders, walk
from snnet.errors import DataError
from snnet.utils import counted

IMAGES = ("images", "image", "imgs", "leftimg8bit", "jpegimages")
TARGETS = {
    "mask": ("masks", "mask", "annotations", "labels", "gtfine", "segmentationclass", "targets"),
    "depth": ("depth", "depths", "annotations", "labels", "targets"),
}
"""What folders of images, and of what comes with them, are called, in lower case; the first that there is counts."""


class PairSource(ImageSource):
    """Images and their masks or depth maps, which bear the same names in two folders; endings may differ.

    An image without a target, and a target without an image, count as one that does not decode.

    Args:
        images: Holds the images, at any depth.
        targets: Holds the targets, in sub-folders of the same names.
        settings: What the targets are, and in what names differ.
        legend: Names and colors of the classes.
        folder: Holds both and no splits; None where it is one split of several.

    Raises:
        DataError: If two images, or two targets, bear one name, or no image has a target.
    """

    layout: ClassVar[tuple[str, str]] = (
        "images and what comes with them",
        "folders train and validation, or such folders within both",
    )

    def __init__(
        self, images: Path, targets: Path, settings: TargetSettings, legend: Legend, folder: Path | None = None
    ) -> None:
        self.target, self.settings, self.legend = settings.kind, settings, legend
        self.classes, self.folder = legend.classes, folder
        self.left_out: Counter[str] = Counter()
        self._dangling: set[Path] = set()
        self.images, self.folders = self._search(images, settings.image_suffix, picture_endings())
        self.targets, _ = self._search(targets, settings.suffix, (*picture_endings(), ".npy"))
        if not self.images.keys() & self.targets.keys():
            raise DataError(_nothing_fits(images, targets, self.images, self.targets))
        self.names: Sequence[PurePath] = sorted(self.images.keys() | self.targets.keys())
        self.faults = {place: fault for place, name in enumerate(self.names) if (fault := self._fault(name))}

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> tuple[Image.Image, Tensor]:
        """Return an image and its mask or depth map."""
        if index in self.faults:
            raise CorruptImageError(self.faults[index])
        image = self.images[self.names[index]]
        target = read_target(self.targets[self.names[index]], self.settings, self.legend)
        return decode(image, str(image)), target

    def describe(self, index: int) -> str:
        """Return the path of an image."""
        name = self.names[index]
        return str(self.images.get(name) or self.targets[name])

    def hold_out(self) -> tuple[SourcePart, SourcePart]:
        """Split into training and validation images, one in five for validation.

        Raises:
            DataError: If there is a single image.
        """
        if len(self) < 2:
            raise DataError(f"{self.folder} holds no splits and a single image, so none can be held out; add images.")
        return self.without(held_out(dict(enumerate(self.names))))

    def _search(
        self, folder: Path, suffix: str, endings: Sequence[str]
    ) -> tuple[dict[PurePath, Path], dict[Identity, Path]]:
        """Return the files whose names have a suffix, by their names without it, and all folders that were searched."""
        found = walk([folder], endings)
        self.left_out += found.left_out
        self._dangling |= found.dangling
        files: dict[PurePath, Path] = {}
        for path in found.files[0]:
            if not path.stem.endswith(suffix):
                self.left_out[f"without {suffix}"] += 1
                continue
            name = path.relative_to(folder).with_name(path.stem.removesuffix(suffix) or path.stem)
            if files.setdefault(name, path) is not path:
                raise DataError(
                    f"{files[name]} and {path} bear one name, and it is not clear which is meant; remove one."
                )
        return files, found.folders

    def _fault(self, name: PurePath) -> str | None:
        image, target = self.images.get(name), self.targets.get(name)
        if image is None or target is None:
            return f"{image or target} (without {'an image' if image is None else self.target}) does not decode"
        dangling = [path for path in (image, target) if path in self._dangling]
        return f"{dangling[0]} does not decode (a link to nothing)" if dangling else None


def open_pairs(request: Request) -> PairSource:
    """Open `root/train/images` with `root/train/masks`, or `root/images/train` with `root/masks/train`.

    Or `root/images` with `root/masks`, where there are no splits.

    Raises:
        DataError: If the root holds no such folders, or other splits but not this one.
    """
    root, split = request.folder("folder"), request.split
    settings, splits = request.target, [path.name for path in subfolders(root) if is_split(path.name)]
    images = _named(root, IMAGES)
    if images is None and splits:
        inner = root / _found(root, splits, split)
        images, targets, whole = _named(inner, IMAGES), _named(inner, TARGETS[settings.kind]), None
    else:
        inner, targets, whole = root, _named(root, TARGETS[settings.kind]), root
    if images is None or targets is None:
        raise DataError(_no_pair(inner, settings.kind, has_images=images is not None))
    if splits := [path.name for path in subfolders(images) if is_split(path.name)]:
        others = [path.name for path in subfolders(targets)]
        images, targets, whole = images / _found(images, splits, split), targets / _found(targets, others, split), None
    return PairSource(images, targets, settings, read_legend(settings, [inner, root]), whole)


def _named(folder: Path, names: Sequence[str]) -> Path | None:
    present = {path.name.lower(): path for path in subfolders(folder)}
    return next((present[name] for name in names if name in present), None)


def _found(folder: Path, present: Sequence[str], split: str) -> str:
    name = find_split(present, split)
    if name is None:
        wanted = " or ".join(f"{folder}/{name}" for name in SPLIT_NAMES[split])
        raise DataError(f"{folder} has no {split} split, only {', '.join(present) or 'none'}; it would be {wanted}.")
    return name


def _no_pair(folder: Path, kind: str, *, has_images: bool) -> str:
    usual = TARGETS[kind][0]
    what, missing = (f"each {kind}", TARGETS[kind]) if has_images else ("images", IMAGES)
    there = ", ".join(path.name for path in subfolders(folder)) or "none"
    return (
        f"{folder} has no folder of {what} (one of {', '.join(missing)}), only: {there}. Lay them out as "
        f"ROOT/train/images and ROOT/train/{usual}, as ROOT/images/train and ROOT/{usual}/train, or without splits."
    )


def _nothing_fits(images: Path, targets: Path, first: dict[PurePath, Path], second: dict[PurePath, Path]) -> str:
    told = f"No image in {images} ({counted(len(first), 'image')}) has its {targets.name} in {targets} ({len(second)})"
    if not (first and second):
        return f"{told}; is one of the folders empty?"
    one, other = min(first), min(second)
    return (
        f"{told}: files of a pair bear the same name, as {one} does not with {other}; say what the names of targets or "
        "images have beyond that, such as suffix='_mask' or image_suffix='_rgb'."
    )
