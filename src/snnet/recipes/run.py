"""A recipe at work: initialize, recalibrate, train, recalibrate, evaluate, save, and going on after a kill."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from snnet.data import EvalBatches, calibration_images, eval_batches, fixed_choice
from snnet.errors import RecipeError, TableError
from snnet.evaluation import evaluate
from snnet.init import InitReport, RecalibrationReport, has_batch_norm, recalibrate
from snnet.network import StitchLike
from snnet.recipes.first import fit_layers, layers_of_anchors, train_first
from snnet.recipes.parts import Parts
from snnet.recipes.run_directory import claim_directory
from snnet.recipes.searched import find_routes, kept_routes
from snnet.recipes.trainer import build_trainer, wants_scores
from snnet.searching import SearchReport
from snnet.table import StitchTable, knowing_before
from snnet.training import TrainResult
from snnet.utils import Stage, copy_from_first, from_first, share, silent

STARTING_SCORES, BEFORE, TABLE = "starting_scores.jsonl", "before.jsonl", "table.jsonl"


@dataclass(frozen=True)
class Run:
    """The steps of a recipe in one directory; `finish` takes them all, in order.

    Attributes:
        parts: What the recipe describes.
        directory: Where checkpoints, logs, tables and the network go.
        begun: Whether training has begun there; it goes on from its newest checkpoint.
        stage: Shows progress.
        say: Told in words what a user should know.
    """

    parts: Parts
    directory: Path
    begun: bool = False
    stage: Stage = silent
    say: Callable[[str], None] | None = None

    def finish(self) -> StitchTable | None:
        """Take all steps, and return the table that is saved with the network; None if nothing is to be evaluated.

        Raises:
            TrainingInterrupted: After SIGINT or SIGTERM, once the state is saved.
            SNNetError: If images, weights or settings do not fit, or the training fails.
        """
        if not self.begun:
            self.initialize()
            # Stitches are worth what they add to the anchors as they came, if those know the classes.
            if self.parts.recipe.evaluation.stitches == "all" and not self.parts.untaught:
                anchors = self.parts.net.space.where(max_segments=1)
                self.evaluate(self.directory / BEFORE, stitches=anchors, title="Evaluating the anchors")
        self.train()
        table = self.evaluate(self.directory / TABLE)
        self.save()
        return table if len(table) else None

    def initialize(self, title: str = "Initializing") -> InitReport | SearchReport | None:
        """Fit the stitching layers on clean training images, or search for routes and fit theirs, as the recipe says.

        None of a saved network, one without layers, and where an earlier call has searched.
        """
        self.train_first()
        if self.parts.recipe.routes is not None:
            if kept_routes(self.parts, self.directory):
                return None
            with self.stage("Searching") as progress:
                return find_routes(self.parts, self.directory, progress)
        net = self.parts.net
        if self.parts.is_saved or not net.layer_specs:
            return None
        with self.stage(title) as progress:
            return fit_layers(self.parts, layers_of_anchors(net) if self.parts.recipe.first.steps else (), progress)

    def train_first(self) -> None:
        """Let the anchors alone learn from the targets, if the recipe says so; done once, and read from then on."""
        if self.parts.recipe.first.steps:
            with self.stage("Training the anchors") as progress:
                train_first(self.parts, self.directory, on_message=self.say, progress=progress)

    def recalibrate(self, *, anchors: bool | Collection[int] = True) -> RecalibrationReport | None:
        """Measure running statistics of every stitch on clean training images, and keep them in the network.

        None where there is nothing to measure, or the recipe forbids it.

        Args:
            anchors: False leaves the anchors' own as they are, which fit as long as nothing is trained; or the numbers
                of those to measure.
        """
        net, section = self.parts.net, self.parts.recipe.recalibration
        if not section.images or not has_batch_norm(net, anchors=anchors):
            return None
        with self.stage("Recalibrating") as progress:
            images = calibration_images(self.parts.images, section.images, self.parts.recipe.run.seed)
            device, size = self.parts.device, section.batch_size
            report = recalibrate(net, images, anchors=anchors, batch_size=size, device=device, progress=progress)
        copy_from_first(net.state_dict().values())
        return report

    def starting_scores(self) -> StitchTable:
        """Score all stitches on clean training images before training, and keep the scores in a file.

        A call that was killed goes on where it stopped. Once training has begun the scores are read, for those of
        trained weights are others.

        Raises:
            RecipeError: If training has begun and the file is gone.
        """
        path, recipe = self.directory / STARTING_SCORES, self.parts.recipe
        if self.begun:
            if not path.is_file():
                raise RecipeError(f"{path}, by which the sampler draws, is gone; begin again in another directory.")
            return StitchTable.load(path)
        clean = fixed_choice(self.parts.images.clean(), recipe.sampler.images)
        if not len(self.parts.net.statistics):
            self.recalibrate(anchors=self.parts.is_saved)
        batches = eval_batches(clean, recipe.evaluation.batch_size, recipe.data.workers)
        # Scores may have been left behind by another recipe that never came to train.
        return self._scored(path, batches, "Scoring for the sampler")

    def of_length(self, steps: int) -> "Run":
        """Return this run with so many steps of training, none of which is done."""
        recipe = self.parts.recipe.with_run(steps=steps)
        from_first(lambda: claim_directory(recipe, self.directory))
        return replace(self, parts=replace(self.parts, recipe=recipe))

    def train(self, told: Callable[[int, Mapping[str, float]], None] | None = None) -> TrainResult:
        """Score all stitches if the sampler draws by that, train to the last step, and recalibrate.

        The network ends with the moving average of its weights, if the recipe keeps one.

        Args:
            told: Told the step and the top-1 of the stitches that are looked at, before training, too.
        """
        scores = self.starting_scores() if wants_scores(self.parts.recipe) else None
        # The trainer copies anchors that teach, so it is made before they move.
        trainer = build_trainer(self.parts, self.directory, scores=scores)
        if told is not None and trainer.probe is not None:
            trainer.probe = replace(trainer.probe, told=told)
            if not self.begun:
                replace(trainer.probe, calibration=None).measure(self.parts.net, 0)  # statistics are there
        with self.stage("Training") as progress:
            result = trainer.fit(resume=self.begun, on_message=self.say, progress=progress)
        if result.averaged is not None:
            self.parts.net.load_state_dict(result.averaged.state_dict())
        self.recalibrate(anchors=self.parts.measured_anchors)
        if not self.begun and share().is_first:
            # Scores that lie here without a run are those of other weights.
            (self.directory / TABLE).unlink(missing_ok=True)
        return result

    def evaluate(
        self, path: Path, *, stitches: Sequence[StitchLike] | None = None, title: str = "Evaluating"
    ) -> StitchTable:
        """Count costs, and evaluate what a file lacks; all of it if its scores are of other weights or images.

        Args:
            path: Scores are written there as they are found.
            stitches: What is evaluated; what the recipe says by default.
            title: Of the stage.

        Returns:
            The table of these stitches, which is the network's from now on; empty if the recipe evaluates none.
        """
        net = self.parts.net.cpu()
        # What `snnet profile` has written there is kept.
        net.table = from_first(lambda: self._earlier(path))
        self.parts.count_costs()
        chosen = self._chosen() if stitches is None else stitches
        if not chosen:
            return StitchTable([])
        table, before = self._scored(path, self.parts.validation, title, chosen), self.directory / BEFORE
        if path != before and from_first(before.is_file):
            anchors = from_first(lambda: StitchTable.load(before))
            assert net.table is not None
            net.table, table = (knowing_before(one, anchors) for one in (net.table, table))
        return table

    def _earlier(self, path: Path) -> StitchTable | None:
        """Return what a file holds; if that is of other stitches, such as those of another search, remove it."""
        found = StitchTable.load(path) if path.is_file() else None
        ids = dict(enumerate(stitch.id for stitch in self.parts.net.space))
        if found is None or all(ids.get(row.index) == row.stitch for row in found):
            return found
        path.unlink()
        return None

    def _scored(
        self, path: Path, batches: EvalBatches, title: str, stitches: Sequence[StitchLike] | None = None
    ) -> StitchTable:
        """Evaluate into a file; if that holds scores of something else, remove it and evaluate anew."""
        net, device = self.parts.net, self.parts.device
        with self.stage(title) as progress:
            how: dict[str, Any] = {
                "stitches": stitches,
                "device": device,
                "windows": self.parts.recipe.evaluation.windows,
            }
            run = partial(evaluate, net, batches, **how, output=path, progress=progress)
            try:
                return run()
            except TableError as error:
                if self.say is not None:
                    self.say(f"{error} All stitches are evaluated anew.")
                if share().is_first:
                    path.unlink(missing_ok=True)
                return run()

    def save(self) -> None:
        """Save the network with its table in the directory."""
        if share().is_first:
            self.parts.net.save_pretrained(self.directory)

    def _chosen(self) -> Sequence[StitchLike]:
        wanted, space = self.parts.recipe.evaluation.stitches, self.parts.net.space
        return {"all": space, "anchors": space.where(max_segments=1), "none": ()}[wanted]
