"""An experiment: the built parts that a recipe describes, and what is done with them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from timm.data import Mixup

from snnet.data import (
    EvalBatches,
    Images,
    StreamBatches,
    StreamImages,
    TrainBatches,
    calibration_images,
    eval_batches,
    fixed_choice,
)
from snnet.errors import DataError, RecipeError, SpaceError, TableError
from snnet.evaluation import evaluate
from snnet.init import InitReport, RecalibrationReport, has_batch_norm, initialize, recalibrate
from snnet.network import SNNet, StitchLike
from snnet.profiling import count_costs
from snnet.recipes.recipe import IN_PLACE, Recipe, SamplerSection, TeacherSection
from snnet.table import StitchTable, column, without_scores
from snnet.training import (
    Distillation,
    Following,
    OptimSettings,
    OwnAnchorTeacher,
    Probe,
    StitchLoss,
    Teacher,
    Trainer,
    TrainResult,
    TrainSettings,
    TrainStatus,
    anchor_teacher,
    content_digest,
    spread_of,
    stitch_generator,
    timm_teacher,
    with_something_to_train,
)
from snnet.training.samplers import SAMPLERS, StitchSampler
from snnet.utils import Progress, Stage, copy_from_first, share, silent

STARTING_SCORES = "starting_scores.jsonl"


@dataclass(frozen=True)
class Experiment:
    """The parts that a recipe describes, and the steps of an experiment in the order in which they are taken.

    Attributes:
        recipe: What the parts were built from.
        net: The network, before any step.
        images: The training images.
        train: The same as batches, varied and shuffled.
        validation: Clean batches.
        device: Where the steps run.
        new_heads: Why the classifiers of the anchors are fresh; empty if they are not.
    """

    recipe: Recipe
    net: SNNet
    images: Images
    train: TrainBatches | StreamBatches
    validation: EvalBatches
    device: str
    new_heads: str = ""

    def __post_init__(self) -> None:
        optim = self.recipe.optim
        if self.new_heads and self._frozen:
            raise RecipeError(
                f"The anchors have fresh classifiers, for {self.new_heads}, and a frozen one would never learn the "
                f"classes; optim.freeze is {optim.freeze!r} and optim.anchor_lr_scale {optim.anchor_lr_scale}: set "
                "them to 'nothing' and above 0."
            )

    def initialize(self, progress: Progress | None = None) -> InitReport:
        """Fit the stitching layers on clean training images."""
        section, seed = self.recipe.calibration, self.recipe.run.seed
        images = calibration_images(self.images, section.images, seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            report = initialize(
                self.net, images, method=section.method, ridge=section.ridge, device=self.device, progress=progress
            )
        # Each process has computed the same, but for the last bits where machines differ.
        copy_from_first(self.net.state_dict().values())
        return report

    @property
    def recalibrates(self) -> bool:
        """Whether there is batch norm, and the recipe lets its statistics be measured for each stitch."""
        return self.recipe.recalibration.images > 0 and has_batch_norm(self.net)

    def recalibrate(
        self, progress: Progress | None = None, *, anchors: bool | Collection[int] = True
    ) -> RecalibrationReport:
        """Measure running statistics of every stitch on clean training images, and keep them in the network.

        Args:
            progress: Told how far it is.
            anchors: False leaves the anchors' own as they are, which fit as long as nothing is trained; or the numbers
                of those to measure.
        """
        section = self.recipe.recalibration
        images = calibration_images(self.images, section.images, self.recipe.run.seed)
        report = recalibrate(
            self.net, images, anchors=anchors, batch_size=section.batch_size, device=self.device, progress=progress
        )
        copy_from_first(self.net.state_dict().values())
        return report

    @property
    def wants_scores(self) -> bool:
        """Whether the sampler draws by what the stitches score before training."""
        return any(column(name).role == "score" for name in self._sampler_columns())

    def starting_scores(self, directory: Path, progress: Progress | None = None, *, begun: bool) -> StitchTable:
        """Score all stitches on clean training images, before training, and keep the scores in a file.

        Args:
            directory: That of the run. A call that was killed goes on there where it stopped.
            progress: Told how far it is.
            begun: Whether training has begun. The scores are read then, for those of trained weights are others.

        Raises:
            RecipeError: If training has begun and the file is gone.
            DataError: If the images are a stream.
        """
        path = directory / STARTING_SCORES
        if begun:
            if not path.is_file():
                raise RecipeError(f"{path}, by which the sampler draws, is gone; begin again in another directory.")
            return StitchTable.load(path)
        if self.recalibrates and not len(self.net.statistics):
            self.recalibrate(anchors=self._is_saved)
        batches = eval_batches(
            self._clean_images(self.recipe.sampler.images), self.recipe.evaluation.batch_size, self.recipe.data.workers
        )
        # Scores may have been left behind by another recipe that never came to train.
        return _anew(path, lambda: evaluate(self.net, batches, device=self.device, output=path, progress=progress))

    def _clean_images(self, count: int) -> Images:
        if isinstance(self.images, StreamImages):
            raise DataError(
                f"Sampler {self.recipe.sampler.name!r} draws by scores on training images, and a stream of images "
                "gives no choice of them; use indexed data, or another sampler."
            )
        return fixed_choice(self.images.clean(), count)

    def evaluate(
        self,
        output: Path | None = None,
        progress: Progress | None = None,
        *,
        stitches: Iterable[StitchLike] | None = None,
    ) -> StitchTable:
        """Evaluate these stitches, or those that the recipe says, resumably where there is an output."""
        chosen = stitches
        if chosen is None:
            space, anchors_only = self.net.space, self.recipe.evaluation.stitches == "anchors"
            chosen = space.where(max_segments=1) if anchors_only else space
        return evaluate(
            self.net, self.validation, stitches=chosen, device=self.device, output=output, progress=progress
        )

    def evaluate_anew(
        self,
        output: Path,
        progress: Progress | None = None,
        *,
        stitches: Sequence[StitchLike] | None = None,
        on_message: Callable[[str], None] | None = None,
    ) -> StitchTable:
        """Evaluate what `output` lacks; all of it if its scores are of other weights or images."""
        return _anew(output, lambda: self.evaluate(output, progress, stitches=stitches), on_message)

    def trainer(
        self,
        directory: Path | None = None,
        *,
        scores: StitchTable | None = None,
        on_step: Callable[[TrainStatus], None] | None = None,
        on_message: Callable[[str], None] | None = None,
    ) -> Trainer:
        """Return the trainer; teachers made of anchors are copied now, so ask for it before training.

        Args:
            directory: Where logs and checkpoints go.
            scores: What `starting_scores` gave, if the sampler `wants_scores`.
            on_step: Told the status after every step.
            on_message: Told in words what a user should know.
        """
        recipe, sampler = self.recipe, self._sampler(scores)
        self._check_in_place(sampler)
        return Trainer(
            self.net,
            self.train,
            settings=self._settings(),
            optim=self._optim(),
            sampler=sampler,
            loss=self._loss(),
            mixup=self._mixup(),
            directory=directory,
            facts={
                **recipe.model_dump(mode="json", include={"network", "calibration", "augment"}),
                "data": self._data_facts(),
            },
            probe=self._probe(),
            on_step=on_step,
            on_message=on_message,
        )

    def fit(
        self,
        directory: Path,
        stage: Stage = silent,
        *,
        begun: bool,
        on_message: Callable[[str], None] | None = None,
    ) -> TrainResult:
        """Score all stitches if the sampler draws by that, train to the last step, and recalibrate.

        The network ends with the moving average of its weights, if the recipe keeps one.

        Args:
            directory: Where logs and checkpoints go.
            stage: Shows progress.
            begun: Whether training has begun, and goes on from its newest checkpoint.
            on_message: Told in words what a user should know.
        """
        scores = None
        if self.wants_scores:
            with stage("Scoring for the sampler") as progress:
                scores = self.starting_scores(directory, progress, begun=begun)
        # The trainer copies anchors that teach, so it is made before they move.
        trainer = self.trainer(directory, scores=scores, on_message=on_message)
        with stage("Training") as progress:
            trainer.on_step = lambda status: progress(status.step, status.steps, str(status))
            result = trainer.fit(resume=begun)
        if result.averaged is not None:
            self.net.load_state_dict(result.averaged.state_dict())
        self.recalibrate_if_needed(stage, anchors=self._measured_anchors)
        return result

    def recalibrate_if_needed(self, stage: Stage = silent, *, anchors: bool | Collection[int] = True) -> None:
        """Recalibrate, where there is batch norm and the recipe does not forbid it; see `recalibrate`."""
        if self.recalibrates:
            with stage("Recalibrating") as progress:
                self.recalibrate(progress, anchors=anchors)

    def _data_facts(self) -> dict[str, Any]:
        data = self.recipe.data
        # Only where it decides anything, so that runs on other data resume as ever.
        buffer = {"shuffle_buffer": data.shuffle_buffer} if isinstance(self.train, StreamBatches) else {}
        # The folder may move between the parts of a run, and its classes must not.
        classes = content_digest(self.images.classes)
        return {"name": data.name, "batch_size": data.batch_size, "classes": classes, **buffer}

    def _probe(self) -> Probe | None:
        section = self.recipe.evaluation
        if not section.every:
            return None
        some = fixed_choice(cast(Images, self.validation.dataset), section.every_images)
        batches = eval_batches(some, section.batch_size, self.validation.workers)
        calibration = None
        if self.recalibrates:
            calibration = calibration_images(self.images, self.recipe.recalibration.images, self.recipe.run.seed)
        stitches = spread_of(self.net.space, section.every_stitches)
        return Probe(batches, stitches, section.every, calibration, self._measured_anchors)

    def _settings(self) -> TrainSettings:
        run = self.recipe.run
        return TrainSettings(
            steps=self._steps(run.epochs) if run.epochs is not None else run.steps or 0,
            seed=run.seed,
            accumulation=run.accumulation,
            clip_norm=self.recipe.optim.clip_norm,
            precision=run.precision,
            device=self.device,
            ema_decay=run.ema_decay,
            log_every=run.log_every,
            save_every=run.save_every,
            keep=run.keep,
            trackers=run.trackers,
            sharding=run.sharding,
        )

    def _optim(self) -> OptimSettings:
        section = self.recipe.optim
        kept = section.model_dump(exclude={"warmup_epochs", "clip_norm"})
        return OptimSettings(**kept, warmup_steps=self._steps(section.warmup_epochs))

    @property
    def _frozen(self) -> range:
        return self._optim().frozen(len(self.net.anchors))

    @property
    def _is_saved(self) -> bool:
        """Whether the network was saved: its anchors may be trained, and their own statistics fit nothing then."""
        return self.recipe.network.saved is not None

    @property
    def _measured_anchors(self) -> list[int]:
        """The anchors whose own statistics do not fit them once training has begun."""
        kept = () if self._is_saved else self._frozen
        return [number for number in range(len(self.net.anchors)) if number not in kept]

    def _steps(self, epochs: float) -> int:
        return int(epochs * len(self.train)) // self.recipe.run.accumulation

    def _sampler(self, scores: StitchTable | None) -> StitchSampler:
        table = without_scores(count_costs(self.net)) if self._sampler_columns() else StitchTable([])
        # Other scores that the network has may be those of test images, which must not decide what is trained.
        table = table if scores is None else table.merge(scores)
        kind, space = SAMPLERS.get(self.recipe.sampler.name), self.net.space
        frozen = () if kind.wants_frozen else self._frozen
        stitches = with_something_to_train(space, frozen)
        try:
            with _fitting_options(self.recipe.sampler):
                return kind.build(stitches, table, **self.recipe.sampler.options)
        except SpaceError as error:
            if not frozen:
                raise
            raise RecipeError(
                f"{error} Of {len(space)} stitches {len(stitches)} can be drawn, for optim.freeze is "
                f"{self.recipe.optim.freeze!r} and optim.anchor_lr_scale {self.recipe.optim.anchor_lr_scale}, and "
                "frozen anchors alone have nothing to train."
            ) from error

    def _sampler_columns(self) -> tuple[str, ...]:
        section = self.recipe.sampler
        with _fitting_options(section):
            return SAMPLERS.get(section.name).columns(**section.options)

    def _mixup(self) -> Mixup | None:
        section, batch_size = self.recipe.augment.mix, self.recipe.data.batch_size
        if section is None:
            return None
        if batch_size % 2:
            raise RecipeError(f"augment.mix needs an even data.batch_size, got {batch_size}.")
        return Mixup(
            section.mixup,
            section.cutmix,
            prob=section.prob,
            switch_prob=section.switch_prob,
            mode=section.mode,
            label_smoothing=self.recipe.loss.smoothing,
            num_classes=self.net.num_classes,
        )

    def _loss(self) -> StitchLoss:
        section = self.recipe.loss
        if section.teacher is None or section.teacher.source != IN_PLACE:
            return StitchLoss(smoothing=section.smoothing, distillation=self._distillation(section.teacher))
        how = Following(**section.teacher.model_dump(include={"kind", "alpha", "temperature"}))
        first = self._distillation(section.first_teacher)
        return StitchLoss(smoothing=section.smoothing, distillation=first, in_place=how)

    def _check_in_place(self, sampler: StitchSampler) -> None:
        teacher, name = self.recipe.loss.teacher, self.recipe.sampler.name
        in_place = teacher is not None and teacher.source == IN_PLACE
        if in_place and len(sampler.draw(0, stitch_generator(self.recipe.run.seed, 0))) < 2:
            raise RecipeError(
                f"loss.teacher.source is {IN_PLACE!r}, but sampler {name!r} draws one stitch a step, which has none "
                "to learn from; set sampler.name to sandwich, or name another teacher."
            )

    def _distillation(self, section: TeacherSection | None) -> Distillation | None:
        if section is None:
            return None
        teacher = _teacher(section, self.net, new_heads=bool(self.new_heads))
        return Distillation(teacher, kind=section.kind, alpha=section.alpha, temperature=section.temperature)


def _anew(output: Path, run: Callable[[], StitchTable], on_message: Callable[[str], None] | None = None) -> StitchTable:
    """Run an evaluation into a file; if that holds scores of something else, remove it and run again."""
    try:
        return run()
    except TableError as error:
        if on_message is not None:
            on_message(f"{error} All stitches are evaluated anew.")
        if share().is_first:
            output.unlink(missing_ok=True)
        return run()


@contextmanager
def _fitting_options(section: SamplerSection) -> Iterator[None]:
    try:
        yield
    except TypeError as error:
        raise RecipeError(f"sampler.options do not fit sampler {section.name!r}: {error}") from error


def _teacher(section: TeacherSection, net: SNNet, *, new_heads: bool) -> Teacher:
    if section.source in ("own-anchors", "largest-anchor"):
        if new_heads:
            raise RecipeError(
                f"loss.teacher.source is {section.source!r}, but the anchors' classifiers are new and know nothing "
                "yet; set loss.teacher to null, or name another teacher."
            )
        return OwnAnchorTeacher(net) if section.source == "own-anchors" else anchor_teacher(net)
    checkpoint = str(section.checkpoint) if section.checkpoint else None
    return timm_teacher(
        section.source,
        input=net.input,
        num_classes=net.num_classes,
        pretrained=section.pretrained,
        checkpoint=checkpoint,
    )
