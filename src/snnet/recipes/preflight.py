"""What is known at the start is refused at the start: all that is wrong at once, before any work."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import torch

from snnet.errors import DataError, RecipeError, SNNetError
from snnet.recipes.parts import Parts
from snnet.recipes.recipe import Recipe
from snnet.recipes.trainer import build_mixup, build_sampler, check_in_place, sampler_columns
from snnet.table import StitchRow, StitchTable, column
from snnet.training import IN_PLACE, TeacherSettings, build_loss, check_batch_norms, check_trackers
from snnet.utils import counted, output_fault, started_share

_ANCHORS = (IN_PLACE, "own-anchors", "largest-anchor")


class Faults:
    """What is wrong with a run; as a context it keeps an error of ours for later, and the block ends there."""

    def __init__(self) -> None:
        self.told: list[SNNetError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, SNNetError):
            self.told.append(error)
        return isinstance(error, SNNetError)

    def add(self, message: str) -> None:
        """Note a fault in words."""
        self.told.append(RecipeError(message))

    def refuse(self) -> None:
        """Raise what was found: a single error as it is, several as a list.

        Raises:
            SNNetError: If there is any.
        """
        if len(self.told) == 1:
            raise self.told[0]
        if self.told:
            listed = "".join(f"\n  {str(error).rstrip()}" for error in self.told)
            raise RecipeError(f"The run has {len(self.told)} faults, and nothing was begun:{listed}")


def check_start(recipe: Recipe, directory: Path | None = None) -> Faults:
    """Return what settings, machine and output alone show to be wrong; no image and no weight is read."""
    faults, batch, count = Faults(), recipe.data.batch_size, started_share().count
    checks: list[Callable[[], object]] = [lambda: recipe.run.place, lambda: check_trackers(recipe.run.trackers)]
    for check in checks:
        with faults:
            check()
    if directory is not None and (fault := output_fault(directory)):
        faults.add(f"--output {fault}.")
    if directory is not None:
        with faults:
            recipe.data.check_outside(directory)
    if batch < count:
        faults.add(
            f"Batches of {counted(batch, 'image')} cannot be divided over {count} processes: give --data.batch-size "
            f"{count} or more, or start fewer processes."
        )
    if recipe.augment.mix is not None and batch % 2:
        faults.add(f"augment.mix needs an even number of images; --data.batch-size is {batch}, give {batch + 1}.")
    if recipe.evaluation.every and recipe.run.sharding == "fsdp":
        faults.add("Scores while training need the whole network: leave out --evaluation.every or --run.sharding fsdp.")
    for name in ("teacher", "first_teacher"):
        _check_teacher(name, getattr(recipe.loss, name), faults)
    return faults


def _check_teacher(name: str, teacher: TeacherSettings | None, faults: Faults) -> None:
    if teacher is None or teacher.checkpoint is None:
        return
    if teacher.source in _ANCHORS:
        flag = f"--loss.{name.replace('_', '-')}"
        faults.add(
            f"Nothing reads {flag}.checkpoint {teacher.checkpoint}, for the teacher is {teacher.source}: leave it out, "
            f"or name the model that it belongs to as {flag}.source."
        )
    elif not teacher.checkpoint.is_file():
        faults.add(f"loss.{name}.checkpoint {teacher.checkpoint} does not exist.")


def check_root(recipe: Recipe, faults: Faults) -> None:
    """Note a folder that is missing, where the network is not known and its images cannot be opened."""
    data = recipe.data
    if data.name == "folder" and not (data.root and data.root.expanduser().is_dir()):
        faults.told.append(DataError(f"--data.root is {data.root}, and no folder is there."))


def check_parts(parts: Parts, faults: Faults) -> None:
    """Note what network and images show to be wrong; the network may be one on the meta device."""
    recipe, net = parts.recipe, parts.net
    if recipe.routes is not None and parts.new_heads and not recipe.first.steps:
        faults.add(
            f"The anchors have fresh classifiers, for {parts.new_heads}, and a search goes by what they answer: take "
            "--recipe windows, or leave routes out; or let the anchors learn before, for some --first.steps."
        )
    with faults:
        recipe.run.length(len(parts.train))
    with faults:
        build_mixup(parts)
    with faults, torch.device("meta"):
        loss = recipe.loss.model_dump(exclude_none=True)
        for name in loss.keys() & {"teacher", "first_teacher"}:
            # What the weights are does not matter here, and they may have to be fetched.
            loss[name] = {**loss[name], "pretrained": False, "checkpoint": None}
        build_loss(type(recipe.loss)(**loss), net, new_heads=parts.untaught)
    with faults:
        check_in_place(recipe, build_sampler(parts, _made_up_scores(parts)))
    with faults:
        check_batch_norms(net, parts.frozen, recipe.data.batch_size)


def _made_up_scores(parts: Parts) -> StitchTable | None:
    """Return scores like those that the sampler will draw by, to see whether its options fit."""
    names = [name for name in sampler_columns(parts.recipe.sampler) if column(name).role == "score"]
    if not names:
        return None
    space = parts.net.space
    made_up = [dict.fromkeys(names, 50 + 40 * number / len(space)) for number in range(len(space))]
    return StitchTable([StitchRow(number, stitch.id, made_up[number]) for number, stitch in enumerate(space)])
