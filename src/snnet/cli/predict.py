"""`snnet predict`: what is in pictures."""

import json as json_format
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from snnet.cli.console import say, show
from snnet.cli.errors import ExitCode
from snnet.cli.masks import Places, mask_facts, mask_lines
from snnet.cli.options import NO_BUDGET, BudgetOptions, Device, default_device
from snnet.cli.sources import is_network, read_table, saved_network
from snnet.errors import DataError, ExportError
from snnet.table import select

if TYPE_CHECKING:
    from snnet.export.bundle import Bundle
    from snnet.network import Predicted, SNNet

_AT_ONCE, _WIDEST = 32, 32


def predict(
    source: str,
    /,
    *images: Path,
    stitch: str | None = None,
    budget: BudgetOptions = NO_BUDGET,
    top: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    output: Path | None = None,
    device: Device = None,
    json: Annotated[bool, Parameter(negative="", help="Print one JSON object per picture, in lines.")] = False,
) -> int:
    """Say what is in pictures: the most probable classes, or masks, by the best stitch within the budget.

    With neither --stitch nor a budget, the stitch of the best measured score answers; where none is measured, the
    largest anchor. A network that does not know the names of its classes gives their numbers.

    A file that cannot be read as an image is named, and the others are answered; then the exit code is 2. Pictures are
    run 32 at once, or as many as --batch says.

    Args:
        source: Directory of a saved network or a bundle, an id on the hub, or FAMILY@FILE for a published network.
        images: Pictures; of a folder, all in it and in its folders.
        stitch: Number or id of the stitch that answers.
        top: Classes to name for each picture: 1 by default, or all of a mask.
        output: For networks that end in a dense head: the file of the mask or depth map, PNG or, of depths, also NPY;
            of several pictures a folder. By default photo.mask.png or photo.depth.png beside photo.jpg.

    Examples:
        snnet predict runs/mine photo.jpg --macs 12M
        snnet predict runs/mine photos/ --top 5 --json > labels.jsonl
        snnet predict bundle photos/*.jpg --stitch 17
        snnet predict runs/scenes photo.jpg --output mask.png
    """
    if not images:
        raise DataError("There is no image to predict; name pictures, or a folder of them.")
    limits = budget.given()
    if limits and stitch is None and is_network(source):
        select(read_table(source), **limits)  # a budget that nothing fits is refused before torch is loaded
    model, routes = _open(source, device)
    from snnet.network import choose_stitch

    places = Places(output, images, model.output)
    route = choose_stitch(model, stitch, limits, routes)
    say(f"Stitch {route} of {source}" + ("" if model.classes else ", which knows no names of its classes"), style="dim")
    told = partial(_tell, top=top, json=json, width=min(max(map(len, model.classes or ("0000",))), _WIDEST))
    done = faults = 0
    if model.output.dense:
        for path, mask, target in _masks(model, route, _pictures(images, places), places):
            done, faults = done + 1, faults + (target is None)
            told(path, mask, target=target)
    else:
        for path, found in _answers(model, route, _pictures(images), limits.get("batch", _AT_ONCE)):
            done, faults = done + 1, faults + isinstance(found, str)
            told(path, found)
    if faults:
        say(f"{faults} of {done} could not be predicted, for the reasons above.", style="red")
    return ExitCode.BAD_INPUT if faults else ExitCode.OK


def _open(source: str, device: str | None) -> "tuple[SNNet | Bundle, Iterable[Any]]":
    from snnet.export.bundle import MANIFEST, Bundle

    if not (Path(source) / MANIFEST).is_file():
        net = saved_network(source)
        return net.to(default_device(device)), net.space
    if device is not None:
        raise ExportError(f"{source} is a bundle, which runs on the CPU; leave out --device {device}.")
    bundle = Bundle.open(source)
    return bundle, bundle.stitches


def _pictures(given: Iterable[Path], places: Places | None = None) -> Iterator[Path]:
    """Yield files, those of a folder in its place; a folder without any comes itself, to be told of."""
    from snnet.data import pictures_in

    for path in given:
        inside = pictures_in(path) if path.is_dir() else ()
        yield from [each for each in inside if places is None or not places.is_ours(each)] or [path]


def _masks(
    model: "SNNet | Bundle", route: Any, paths: Iterable[Path], places: Places
) -> "Iterator[tuple[Path, Predicted | str, Path | None]]":
    """Yield each path with its answer and where that was written, or with why there is none."""
    for path in paths:
        try:
            target = places.of(path)
            found: Any = model.predict(path, route)
            yield path, found, found.save(target)
        except DataError as error:
            yield path, str(error), None


def _answers(
    model: "SNNet | Bundle", route: Any, paths: Iterable[Path], at_once: int
) -> "Iterator[tuple[Path, Predicted | str]]":
    """Yield each path with its prediction, or with why there is none."""
    transform, coming = model.transform, iter(paths)
    while part := list(islice(coming, at_once)):
        read: dict[int, Any] = {}
        faults: dict[int, str] = {}
        for number, path in enumerate(part):
            try:
                read[number] = transform(path)
            except DataError as error:
                faults[number] = str(error)
        found = iter(model.predict(list(read.values()), route) if read else ())  # type: ignore[arg-type]
        for number, path in enumerate(part):
            yield path, faults.get(number) or next(found)


def _tell(path: Path, found: Any, *, top: int | None, json: bool, width: int, target: Path | None = None) -> None:
    if isinstance(found, str):
        say(found, style="red")
        if json:
            show(json_format.dumps({"image": str(path), "error": found}))
        return
    facts = {"image": str(path), "stitch": str(found.stitch)}
    if target is not None:
        lines, told = mask_lines(found, path, top, width), mask_facts(found, target)
    elif hasattr(found, "probabilities"):
        labels = found.top(top or 1)
        lines = (f"{100 * probability:6.2f} %  {name!s:<{width}}  {path}" for name, probability in labels)
        told = {"labels": [label._asdict() for label in labels]}
    else:
        lines = iter([f"{len(found.values)} numbers, which --json prints  {path}"])
        told = {"values": found.values.tolist()}
    if json:
        show(json_format.dumps(facts | told))
        return
    for line in lines:
        show(line)
    if target is not None:
        say(f"Written to {target}", style="dim")
