"""From built parts to a trainer: the sampler, the loss with its teacher, mixup, and scores while training."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from timm.data import Mixup

from snnet.data import Images, calibration_images, eval_batches, fixed_choice, in_shards
from snnet.errors import RecipeError, SpaceError
from snnet.recipes.parts import Parts
from snnet.recipes.recipe import Recipe
from snnet.recipes.sections import SamplerSettings
from snnet.table import StitchTable, column, without_scores
from snnet.training import (
    IN_PLACE,
    Probe,
    Trainer,
    build_loss,
    content_digest,
    spread_of,
    stitch_generator,
    with_something_to_train,
)
from snnet.training.samplers import SAMPLERS, StitchSampler
from snnet.utils import counted


def build_trainer(parts: Parts, directory: Path | None = None, *, scores: StitchTable | None = None) -> Trainer:
    """Return the trainer; teachers made of anchors are copied now, so ask for it before training.

    Args:
        parts: What is trained, and on which images.
        directory: Where logs and checkpoints go.
        scores: Of all stitches before training, if the sampler draws by them; see `wants_scores`.

    Raises:
        RecipeError: If settings contradict each other.
        TableError: If the sampler draws by scores, and there are none.
    """
    recipe, sampler = parts.recipe, build_sampler(parts, scores)
    check_in_place(recipe, sampler)
    return Trainer(
        parts.net,
        parts.train,
        run=recipe.run,
        optim=recipe.optim,
        sampler=sampler,
        loss=build_loss(recipe.loss, parts.net, new_heads=parts.untaught),
        mixup=build_mixup(parts),
        directory=directory,
        facts={
            **run_sections(recipe),
            "data": _data_facts(parts),
        },
        probe=_probe(parts),
    )


def run_sections(recipe: Recipe) -> dict[str, Any]:
    """Return the sections that must be equal to resume, as plain data; those of dense tasks where they are used."""
    sections = {"network", "calibration", "augment", *({"head", "task", "first"} if recipe.head else ())}
    facts = recipe.model_dump(mode="json", include=sections)
    if facts["augment"]["dense"] is None:
        del facts["augment"]["dense"]
    return facts


def wants_scores(recipe: Recipe) -> bool:
    """Return whether the sampler draws by what the stitches score before training."""
    return any(column(name).role == "score" for name in sampler_columns(recipe.sampler))


def _data_facts(parts: Parts) -> dict[str, Any]:
    data = parts.recipe.data
    # Only where it decides anything, so that runs on other data resume as ever.
    buffer = {"shuffle_buffer": data.shuffle_buffer} if in_shards(parts.images) else {}
    # The folder may move between the parts of a run, and its classes must not.
    classes = content_digest(parts.images.classes)
    return {"name": data.name, "batch_size": data.batch_size, "classes": classes, **buffer}


def _probe(parts: Parts) -> Probe | None:
    recipe = parts.recipe
    section = recipe.evaluation
    if not section.every:
        return None
    some = fixed_choice(cast(Images, parts.validation.dataset), section.every_images)
    batches = eval_batches(some, section.batch_size, parts.validation.workers)
    calibration = None
    if parts.recalibrates:
        calibration = calibration_images(parts.images, recipe.recalibration.images, recipe.run.seed)
    stitches = spread_of(parts.net.space, section.every_stitches)
    return Probe(batches, stitches, section.every, calibration, parts.measured_anchors)


def build_sampler(parts: Parts, scores: StitchTable | None) -> StitchSampler:
    """Return what draws the stitches; arguments and errors are those of `build_trainer`."""
    section, optim = parts.recipe.sampler, parts.recipe.optim
    table = without_scores(parts.count_costs()) if sampler_columns(section) else StitchTable([])
    # Other scores that the network has may be those of test images, which must not decide what is trained.
    table = table if scores is None else table.merge(scores)
    kind, space = SAMPLERS.get(section.name), parts.net.space
    frozen = () if kind.wants_frozen else parts.frozen
    stitches = with_something_to_train(space, frozen)
    try:
        with _fitting_options(section):
            return kind.build(stitches, table, **section.options)
    except SpaceError as error:
        if not frozen:
            raise
        raise RecipeError(
            f"{error} Of {counted(len(space), 'stitch')} {len(stitches):,} can be drawn, for optim.freeze is "
            f"{optim.freeze!r} and optim.anchor_lr_scale {optim.anchor_lr_scale}, and frozen anchors alone have "
            "nothing to train."
        ) from error


def sampler_columns(section: SamplerSettings) -> tuple[str, ...]:
    """Return the columns of the table that a sampler reads."""
    with _fitting_options(section):
        return SAMPLERS.get(section.name).columns(**section.options)


@contextmanager
def _fitting_options(section: SamplerSettings) -> Iterator[None]:
    try:
        yield
    except TypeError as error:
        raise RecipeError(f"sampler.options do not fit sampler {section.name!r}: {error}") from error


def build_mixup(parts: Parts) -> Mixup | None:
    """Return timm's mixup as the recipe says, which also smooths the labels."""
    section = parts.recipe.augment.mix
    if section is None:
        return None
    smoothing, classes = parts.recipe.loss.smoothing, parts.net.num_classes
    how = section.model_dump(include={"prob", "switch_prob", "mode"})
    return Mixup(section.mixup, section.cutmix, label_smoothing=smoothing, num_classes=classes, **how)


def check_in_place(recipe: Recipe, sampler: StitchSampler) -> None:
    """Refuse a teacher that is the first stitch of a step, where no other follows."""
    teacher, name = recipe.loss.teacher, recipe.sampler.name
    in_place = teacher is not None and teacher.source == IN_PLACE
    if in_place and len(sampler.draw(0, stitch_generator(recipe.run.seed, 0))) < 2:
        raise RecipeError(
            f"loss.teacher.source is {IN_PLACE!r}, but sampler {name!r} draws one stitch a step, which has none "
            "to learn from; set sampler.name to sandwich, or name another teacher."
        )
