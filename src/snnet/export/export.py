"""Write one stitch as a file, and only if the file computes what the network computes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from snnet.anchors import sample_images
from snnet.data import fixed_choice, open_dataset
from snnet.errors import DataError, ExportError
from snnet.export.formats import EXPORTS, ExportFormat, OpenedFile
from snnet.network import SNNet, StitchLike, check_images, replicate, to_plain
from snnet.space import InputSpec, Stitch
from snnet.tasks import describe_task
from snnet.utils import Show, check_output, shows_progress, versions, write_beside

_RANDOM, _REAL = 3, 8  # images to compare on
_BATCHES = (1, 3)


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how well it agrees with the network.

    Attributes:
        path: The file.
        format: Its kind.
        stitch: What it holds.
        nbytes: Size of the file in bytes, with those that belong to it.
        errors: `random` and `real` images -> largest difference of a logit, relative to the largest logit. Without
            `real` for networks whose images no data set of pictures gives.
    """

    path: Path
    format: str
    stitch: Stitch
    nbytes: int
    errors: dict[str, float]

    def __str__(self) -> str:
        return (
            f"{self.path}: stitch {self.stitch}, {self.nbytes / 1e6:.1f} MB, format {self.format}\n"
            f"Checked: logits differ from the network's by {_told(self.errors)}, relative to the largest."
        )


@shows_progress("Exporting")
def export_stitch(
    net: SNNet,
    stitch: StitchLike,
    path: str | Path,
    *,
    format: str | None = None,
    images: Tensor | None = None,
    tolerance: float = 1e-4,
    progress: Show = None,
) -> ExportReport:
    """Write one stitch as a file that other programs run, for any size of batch.

    The file is written aside, read again and compared with `net(x, stitch)`, one image and several at a time. It
    takes the place of an earlier one only if it agrees. Batch norms hold the statistics of this stitch and are folded
    into the layers before them.

    Args:
        net: The network; it stays as it is. Weights are written in float32.
        stitch: Number, id or value.
        path: The file; its suffix is the format's.
        format: One of `EXPORTS`; by the suffix if None.
        images: Real images to compare on, `(N, C, H, W)`, normalized as `net.input` says; embedded ones if None.
        tolerance: Largest error, relative to the largest logit.
        progress: Told the stages done, of two, and the one in work; None shows a bar where someone watches, False
            nothing.

    Returns:
        What was written, and the largest differences that were seen.

    Raises:
        ExportError: If the file or the stitch cannot be written, the written file computes something else, or the
            suffix is none of the format's.
        ExtraError: If a package that the format needs is not installed.
        DataError: If `images` are none for the network.
        SpaceError: If there is no such stitch.
    """
    target, route = Path(path), net.space.find(stitch)
    name = format or _format_of(target)
    kind = EXPORTS.get(name)()
    if target.suffix != kind.suffix:
        raise ExportError(f"{target} does not end as files of format {name} do; call it {target.stem}{kind.suffix}.")
    check_output(target, ExportError, is_file=True)
    if images is not None and not len(check_images(images, net.input.size)):
        raise DataError("There is no image to compare on; give one at least, or None for embedded ones.")
    reference = replicate(net, to_plain)
    samples = {"random": sample_images(net.input, _RANDOM)}
    real = real_images(net.input) if images is None else to_plain(images)
    if real is not None:
        samples["real"] = real
    tell = progress or (lambda *_: None)
    with write_beside(target, kind.place) as aside:
        tell(0, 2, "writing")
        opened = _written(kind, reference, route, samples["random"], aside)
        tell(1, 2, "comparing")
        errors = {what: _error(opened.run, reference, route, some) for what, some in samples.items()}
        # Written so that NaN fails too.
        if wrong := {what: error for what, error in errors.items() if not error <= tolerance}:
            raise ExportError(
                f"{target.name} does not compute what the network does for stitch {route}: its logits are "
                f"{_told(wrong)} away, relative to the largest, and at most {tolerance:.0e} is accepted. It was "
                "not kept."
            )
        nbytes = sum(file.stat().st_size for file in aside.parent.iterdir())
        tell(2, 2, "")
        del opened  # lets go of the files before they move
    return ExportReport(target, name, route, nbytes, errors)


def _format_of(path: Path) -> str:
    suffixes = {EXPORTS.get(name).suffix: name for name in sorted(EXPORTS.names())}
    if path.suffix not in suffixes:
        known = ", ".join(f"{suffix} ({name})" for suffix, name in suffixes.items())
        raise ExportError(f"The name {path.name} does not tell a format; let it end with one of {known}.")
    return suffixes[path.suffix]


def _written(kind: ExportFormat, net: SNNet, stitch: Stitch, images: Tensor, path: Path) -> OpenedFile:
    """Write the file and read it again, with all that it shall say."""
    facts = _facts(net, stitch, *kind.packages)
    kind.write(net.at(stitch).to_module(fold_batch_norm=True, share=True), images, path, facts)
    opened = kind.read(path)
    if dict(opened.facts) != facts:
        raise ExportError(f"The metadata of {path.name} was not read as it was written; nothing is kept.")
    return opened


def _facts(net: SNNet, stitch: Stitch, *packages: str) -> dict[str, str]:
    """Return what a file says of itself, as texts, all but the id of the stitch in JSON; see the guide on export."""
    row = next((row for row in net.table or () if row.route == stitch), None)
    values = {
        "input": asdict(net.input),
        "classes": net.classes,
        "anchors": [anchor.name for anchor in net.family],
        "measured": {} if row is None else dict(row.values),
        "versions": versions(*packages),
    }
    if net.has_head:
        values["task"] = describe_task(net.task)
    return {"snnet.stitch": stitch.id, **{f"snnet.{name}": json.dumps(value) for name, value in values.items()}}


def _error(run: Callable[[Tensor], Tensor], net: SNNet, stitch: Stitch, images: Tensor) -> float:
    """Return the largest difference relative to the largest logit, over batches of several sizes."""
    with torch.no_grad():
        expected = torch.cat([net(part, stitch) for part in torch.split(images, max(_BATCHES))])
    found = [torch.cat([run(part) for part in torch.split(images, size)]) for size in _BATCHES]
    largest = expected.abs().max().clamp_min(1e-12)
    return max(float((each - expected).abs().max() / largest) for each in found)


def _told(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{error:.1e} on {what} images" for what, error in errors.items())


def real_images(spec: InputSpec) -> Tensor | None:
    """Return embedded images as the network takes them; None where it takes other channels than pictures have."""
    try:
        data = fixed_choice(open_dataset("embedded", split="validation", input=spec), _REAL)
    except DataError:
        return None
    return torch.stack([data[index][0] for index in range(len(data))])
