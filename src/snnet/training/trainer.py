"""Training a stitchable network: algorithm 1 of the paper, with logs, checkpoints and exact resuming."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from snnet.data import check_classes, classes_of
from snnet.errors import DataError, ProcessLostError, RecipeError, TrainingError
from snnet.network import SNNet
from snnet.space import Stitch, join_ids
from snnet.training.checkpoint import CHECKPOINTS, CheckpointStore
from snnet.training.engine import Engine, Mixup, Total, Update, apart, build_accelerator, check_task
from snnet.training.facts import run_facts
from snnet.training.interrupt import STOP_SIGNALS, StopRequest, TrainingInterrupted
from snnet.training.logging import Meter, RunLog
from snnet.training.loss import StitchLoss
from snnet.training.optim import check_batch_norms, hold_statistics, shares_parameters, without_gradients
from snnet.training.probe import Probe
from snnet.training.randomness import kept_random_state, stitch_generator
from snnet.training.samplers.samplers import (
    StitchSampler,
    UniformSampler,
    checked_draw,
    with_something_to_train,
)
from snnet.training.settings import OptimSettings, RunSettings, TrainResult, TrainStatus
from snnet.training.stream import Batch, Batches, as_batches, step_batches
from snnet.training.trackers import check_trackers
from snnet.utils import Show, counted, fast_linear, from_first, joined, losing_none, share, shows_progress, sum_numbers

LOG, TRACKING = "log.jsonl", "tracking"
_log = logging.getLogger(__name__)


class Trainer:
    """Trains all stitches of a network, one drawn stitch or a few a step.

    Args:
        net: Trained in place.
        batches: Training batches by epoch and position; or a torch `DataLoader` with `shuffle=True`, whose order and
            augmentation then come from the seed of the run, see `as_batches`.
        run: How long, where, and what is kept.
        optim: How weights move.
        sampler: Draws the stitches; uniform by default.
        loss: Targets and teacher; the task's plain loss by default.
        mixup: A `timm.data.Mixup`, for tasks whose targets can be mixed.
        directory: Where logs and checkpoints go; None keeps neither.
        facts: Further facts, such as the data set's name, that must be equal to resume.
        probe: Scores of a few stitches while training, for the log and the trackers.

    Raises:
        RecipeError: If settings contradict each other or the machine.
        DataError: If a run could not resume exactly on the batches.
    """

    def __init__(
        self,
        net: SNNet,
        batches: "Batches | DataLoader[Any]",
        *,
        run: RunSettings,
        optim: OptimSettings | None = None,
        sampler: StitchSampler | None = None,
        loss: StitchLoss | None = None,
        mixup: Mixup | None = None,
        directory: str | Path | None = None,
        facts: Mapping[str, Any] | None = None,
        probe: Probe | None = None,
    ) -> None:
        self.net = net
        self.batches = as_batches(batches, run.seed)
        self.run = run
        self.optim = optim or OptimSettings()
        self.frozen = self.optim.frozen(len(net.anchors))
        self.sampler = sampler or UniformSampler(with_something_to_train(net.space, self.frozen))
        self.loss = loss or StitchLoss(task=net.task)
        self.mixup = mixup
        self.directory = None if directory is None else Path(directory)
        self.facts = dict(facts or {})
        self.probe = probe
        self.device = run.place
        self.steps = run.length(len(self.batches))
        self.asked_warmup = asked = run.in_steps(self.optim.warmup_epochs, len(self.batches))
        # A first try of one epoch should not fail for what the recipe of many says.
        self.warmup = asked if asked < self.steps else self.steps // 10
        check_trackers(run.trackers)
        check_task(net, self.loss, mixup)
        if (size := getattr(self.batches, "batch_size", None)) is not None:
            check_batch_norms(net, self.frozen, size)
        if probe is not None and run.sharding == "fsdp":
            raise RecipeError(
                "Scores while training (evaluation.every) need the whole network in one process, and sharding fsdp "
                "divides it; turn one of them off."
            )
        if shares_parameters(self.loss, net):
            raise RecipeError("The teacher shares weights with the network; copy it first, as anchor_teacher does.")

    @shows_progress("Training")
    def fit(
        self,
        *,
        resume: bool = False,
        on_step: Callable[[TrainStatus], None] | None = None,
        on_message: Callable[[str], None] | None = None,
        progress: Show = None,
    ) -> TrainResult:
        """Train to the last step.

        The net keeps its mode (training or evaluation) and stays on the device that trained it; scores in its table
        and recalibrated running statistics were other weights' and go. It takes over the classes that the data names.

        Started by `torchrun` in several processes they train together, and part again at the end; `snnet.utils.joined`
        keeps them together for longer. Random state, signal handlers and accelerate's state are left as they were.

        Args:
            resume: Continue from the newest intact checkpoint of `directory`, from the start if there is none yet.
            on_step: Told the status after every step; of several processes in the first only.
            on_message: Told in words what a user should know: resuming, damaged checkpoints, interruption. Likewise.
            progress: Told steps done, steps in all and the status as a text, likewise; None shows a bar where someone
                watches, False nothing.

        Raises:
            TrainingError: If loss or gradients are not finite (the message names stitch and step), or one of several
                processes is lost.
            CheckpointError: If a checkpoint cannot be written or read, the directory holds another run, or a
                resumed run has other settings.
            TrainingInterrupted: After SIGINT or SIGTERM, once the state is saved.
            DataError: If the data names other classes than `net.classes`, or another order.
        """
        self._take_classes()
        was_training = self.net.training
        # At once, for checkpoints and averages hold none.
        self.net.forget_statistics()
        try:
            with ExitStack() as stack:
                for borrowed in (fast_linear(self.device), kept_random_state(), apart(), joined(self.device)):
                    stack.enter_context(borrowed)
                for number in self.frozen:
                    stack.enter_context(without_gradients(self.net.anchor(number)))
                return _Run(self, resume, on_step, on_message, progress).go()
        finally:
            self.net.forget_scores()
            self.net.zero_grad(set_to_none=True)
            self.net.train(was_training)

    def _take_classes(self) -> None:
        found = classes_of(self.batches)
        check_classes(self.net.classes, found)
        if found is not None and len(found) == self.net.num_classes:
            self.net.classes = found


class _Run:
    """One call of `fit`: what it needs open, and where it stands."""

    def __init__(
        self,
        trainer: Trainer,
        resume: bool,
        on_step: Callable[[TrainStatus], None] | None,
        on_message: Callable[[str], None] | None,
        progress: Show,
    ) -> None:
        self.trainer, self.on_step, self.progress = trainer, on_step, progress
        self.settings, self.steps = trainer.run, trainer.steps
        parts = (trainer.run, trainer.optim, trainer.loss, trainer.mixup)
        facts = run_facts(
            trainer.net, trainer.batches, trainer.sampler, *parts, trainer.facts, warmup=trainer.asked_warmup
        )
        self.share = share()
        self.say = on_message if on_message and self.share.is_first else lambda _: None
        if trainer.warmup < trainer.asked_warmup and self.share.is_first:
            (on_message or _log.warning)(
                f"A warm-up of {trainer.optim.warmup_epochs:g} epochs is {counted(trainer.asked_warmup, 'step')} and "
                f"the run has {self.steps}: it is shortened to {counted(trainer.warmup, 'step')}, as "
                f"optim.warmup_epochs {trainer.warmup * self.settings.accumulation / len(trainer.batches):.2g} would "
                "say."
            )
        self.store: CheckpointStore | None = None
        if trainer.directory is not None:
            place, keep = trainer.directory / CHECKPOINTS, self.settings.keep
            self.store = store = CheckpointStore(place, facts, keep=keep, on_message=self.say)
            from_first(lambda: store.claim(resume=resume))
        # Logs and trackers are the first process's alone.
        directory = trainer.directory if self.share.is_first else None
        accelerator = build_accelerator(trainer.run, directory / TRACKING if directory else None)
        self.engine = Engine(trainer.net, accelerator, *parts, trainer.steps, trainer.warmup)
        self.stopping: int | None = None
        """The signal after which all processes have agreed to stop."""
        self.step = 0
        self.saved: Path | None = None
        self.meter = Meter()
        if resume and self.store is not None:
            self._restore(self.store)
        self.log = RunLog(directory / LOG if directory else None, self.step, accelerator, facts)

    def go(self) -> TrainResult:
        self.engine.net.train()
        for number in self.trainer.frozen:
            hold_statistics(self.engine.net.anchor(number))
        with self.log, StopRequest(repeats=self.share.count > 1) as stop:
            stream = step_batches(self.trainer.batches, self.settings.accumulation, self.step, self.share)
            try:
                while self.step < self.steps:
                    self._one_step(stream, stop)
                # A signal that came during the last step.
                self._agree((), stop)
                self._stop_if_asked()
            except ProcessLostError as error:
                raise ProcessLostError(
                    f"{error} {self._kept()} Start the same command again, with as many processes as there are now."
                ) from error
        return TrainResult(self.step, self.meter.loss, self.saved, self.engine.finish())

    def _one_step(self, stream: Iterator[tuple[Batch, ...]], stop: StopRequest) -> None:
        begun = time.perf_counter()
        batches: tuple[Batch, ...] = ()
        try:
            batches = next(stream)
        except RuntimeError:
            # Ctrl-C reaches the workers of a data loader too, whose death is then no fault.
            if stop.signal is None:
                raise
        totals = self._agree(batches, stop)
        if batches and self.stopping is None:
            generator = stitch_generator(self.settings.seed, self.step)
            stitches = checked_draw(self.trainer.sampler, self.step, generator)
            update = self._update(batches, stitches, totals)
            self.step += 1
            self._note(update, stitches, time.perf_counter() - begun)
            self._report(stitches)
            self._probe_if_due()
        if self.share.count == 1:
            self.stopping = stop.signal
        self._save_if_due()
        self._stop_if_asked()

    def _agree(self, batches: tuple[Batch, ...], stop: StopRequest) -> list[Total]:
        """Return what each micro-batch has in several processes; if any was asked to stop, all are from now on."""
        if self.share.count == 1:
            return []
        task = self.trainer.net.task
        counts = [number for _, targets in batches for number in Total(len(targets), task.weight(targets))]
        asked = [float(stop.signal == number) for number in STOP_SIGNALS]
        # Dead workers have given nothing, but then this process was asked to stop.
        own = counts or [0] * 2 * self.settings.accumulation
        sums = sum_numbers([*asked, float(0 in own[::2]), *own])
        wanted = [number for number, count in zip(STOP_SIGNALS, sums, strict=False) if count]
        self.stopping = wanted[0] if wanted else None
        found = sums[len(asked) + 1 :]
        totals = [Total(int(images), targets) for images, targets in zip(found[::2], found[1::2], strict=True)]
        if batches and not wanted and sums[len(asked)]:
            raise DataError(
                f"Batches of {counted(min(totals).images, 'image')} cannot be divided over "
                f"{counted(self.share.count, 'process')}, each of which needs one at least; take larger batches or "
                "fewer processes."
            )
        return totals

    def _update(self, batches: tuple[Batch, ...], stitches: tuple[Stitch, ...], totals: list[Total]) -> Update:
        try:
            with losing_none():
                return self.engine.update(self.settings.seed, self.step, batches, stitches, totals)
        except ProcessLostError:
            raise
        except TrainingError as error:
            raise TrainingError(f"{error} {self._kept()}") from error

    def _kept(self) -> str:
        return f"The last good checkpoint is {self.saved}." if self.saved else "There is no checkpoint yet."

    def _note(self, update: Update, stitches: tuple[Stitch, ...], seconds: float) -> None:
        self.meter.note(update, seconds)
        if self.step % self.settings.log_every == 0 or self.step == self.steps:
            self.log.write(
                {
                    "step": self.step,
                    "epoch": self._epoch(),
                    "loss": self.meter.take_logged(),
                    **self.engine.rates(),
                    "grad_norm": update.grad_norm,
                    "stitch": join_ids(stitches),
                    "images_per_second": round(self.meter.images_per_second, 1),
                }
            )

    def _probe_if_due(self) -> None:
        probe = self.trainer.probe
        if probe is not None and self.share.is_first and probe.due(self.step, self.steps):
            self.log.write({"step": self.step, **probe.measure(self.trainer.net, self.step)})

    def _report(self, stitches: tuple[Stitch, ...]) -> None:
        if not (self.share.is_first and (self.on_step or self.progress)):
            return
        status = TrainStatus(
            step=self.step,
            steps=self.steps,
            epoch=self._epoch(),
            loss=self.meter.loss,
            lr=self.engine.rates().get("lr", 0.0),
            images_per_second=self.meter.images_per_second,
            seconds_left=(self.steps - self.step) * self.meter.seconds,
            stitch=join_ids(stitches),
        )
        if self.on_step:
            self.on_step(status)
        if self.progress:
            self.progress(status.step, status.steps, str(status))

    def _save_if_due(self) -> None:
        every = self.settings.save_every
        due = self.step == self.steps or (every > 0 and self.step % every == 0)
        if self.stopping is not None:
            self.say(f"{signal.Signals(self.stopping).name} received: stopping after step {self.step}.")
        if self.store is not None and (due or self.stopping is not None):
            store, state = self.store, {**self.engine.state_dict(), "unlogged": list(self.meter.unlogged)}
            self.log.sync()
            self.saved = from_first(lambda: store.save(self.step, state))

    def _stop_if_asked(self) -> None:
        if self.stopping is not None:
            raise TrainingInterrupted(self.step, self.saved, self.stopping)

    def _restore(self, store: CheckpointStore) -> None:
        found = store.load_for_all()
        if found is None:
            self.say(f"There is no checkpoint in {store.directory} yet; training starts at step 0.")
            return
        state = dict(found.state)
        self.meter.unlogged = state.pop("unlogged")
        self.engine.load_state_dict(state)
        self.step, self.saved = found.step, found.path
        self.say(f"Resuming after step {self.step} of {self.steps} from {self.saved}.")

    def _epoch(self) -> float:
        return round(self.step * self.settings.accumulation / len(self.trainer.batches), 4)
