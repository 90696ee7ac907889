# Tested in tests/cli/test_predict.py.
"""Masks and depth maps of pictures: where they are written, and what is printed of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnet.cli.options import writable
from snnet.errors import DataError
from snnet.space import OutputSpec

if TYPE_CHECKING:
    from snnet.network import MapPrediction, MaskPrediction

_FILES = (".png", ".npy")


class Places:
    """Where answers for each pixel of pictures are written.

    Args:
        output: The file, or of several pictures the folder; beside each picture if None.
        pictures: What was named: files, and folders of them.
        spec: What the network gives.

    Raises:
        DataError: If there is one file for several pictures, or nothing that would be written.
        RecipeError: If nothing can be written there.
    """

    def __init__(self, output: Path | None, pictures: Sequence[Path], spec: OutputSpec) -> None:
        self._output, self._used = output, dict[Path, Path]()
        kinds = {"softmax": ".mask.png", "softplus": ".depth.png", "exp": ".depth.png"}
        self.ending = kinds.get(spec.activation, ".map.npy")
        self._is_file = output is not None and output.suffix.lower() in _FILES
        if output is None:
            return
        if not spec.dense:
            raise DataError(
                f"--output {output} is for masks and depth maps, and this network gives one answer for each picture."
            )
        if self._is_file and (len(pictures) > 1 or pictures[0].is_dir()):
            raise DataError(f"--output {output} is one file, and there are several pictures; name a folder.")
        writable(output, is_file=self._is_file)

    def of(self, picture: Path) -> Path:
        """Return the file of a picture.

        Raises:
            DataError: If that of another picture has the same name.
        """
        name = f"{picture.stem}{self.ending}"
        target = picture.with_name(name) if self._output is None else self._output
        target = target if self._output is None or self._is_file else target / name
        if (other := self._used.setdefault(target, picture)) != picture:
            raise DataError(f"{target} is of {other} already, and would be of {picture}, too; name the two otherwise.")
        return target

    def is_ours(self, path: Path) -> bool:
        """Tell whether a file of a folder is an answer of before and no picture."""
        return path.name.endswith(self.ending)


def mask_facts(found: "MaskPrediction | MapPrediction", target: Path) -> dict[str, Any]:
    """Return what JSON says of an answer that was written."""
    if hasattr(found, "shares"):
        return {"mask": str(target), "shares": [share._asdict() for share in found.shares]}
    low, middle, high = (float(each) for each in (found.values.min(), found.values.mean(), found.values.max()))
    return {"map": str(target), "min": low, "mean": middle, "max": high}


def mask_lines(found: "MaskPrediction | MapPrediction", path: Path, top: int | None, width: int) -> Iterator[str]:
    """Yield what people are told: classes with the part that they cover, or from where to where a map goes."""
    if hasattr(found, "shares"):
        for _, name, share in found.shares[:top]:
            yield f"{100 * share:6.2f} %  {name!s:<{width}}  {path}"
    else:
        values = found.values
        yield f"{values.min():.4g} to {values.max():.4g}, on average {values.mean():.4g}  {path}"
