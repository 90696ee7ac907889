"""Training a stitchable network: algorithm 1 of the paper, with logs, checkpoints and exact resuming."""

import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from snnet.errors import CheckpointError, RecipeError, TrainingError
from snnet.fast_linear import fast_linear
from snnet.network import SNNet
from snnet.route import Stitch, join_ids
from snnet.training.checkpoint import CheckpointStore
from snnet.training.engine import Engine, Mixup, Update, build_accelerator, check_device
from snnet.training.facts import run_facts
from snnet.training.freezing import hold_statistics, without_gradients
from snnet.training.interrupt import StopRequest, TrainingInterrupted
from snnet.training.logging import RunLog
from snnet.training.loss import StitchLoss
from snnet.training.optim import OptimSettings, shares_parameters
from snnet.training.randomness import stitch_generator
from snnet.training.samplers import StitchSampler, UniformSampler
from snnet.training.settings import TrainResult, TrainSettings, TrainStatus
from snnet.training.stream import Batch, Batches, step_batches

CHECKPOINTS, LOG, TRACKING = "checkpoints", "log.jsonl", "tracking"
_RECENT = 50


class Trainer:
    """Trains all stitches of a network, one drawn stitch or a few a step.

    Args:
        net: Trained in place.
        batches: Training batches by epoch and position.
        settings: How the run goes.
        optim: How weights move.
        sampler: Draws the stitches; uniform by default.
        loss: Labels and teacher; plain cross-entropy by default.
        mixup: A `timm.data.Mixup`.
        directory: Where logs and checkpoints go; None keeps neither.
        facts: Further facts, such as the data set's name, that must be equal to resume.
        on_step: Told the status after every step.
        on_message: Told in words what a user should know: resuming, damaged checkpoints, interruption.

    Raises:
        RecipeError: If settings contradict each other or the machine.
    """

    def __init__(
        self,
        net: SNNet,
        batches: Batches,
        *,
        settings: TrainSettings,
        optim: OptimSettings | None = None,
        sampler: StitchSampler | None = None,
        loss: StitchLoss | None = None,
        mixup: Mixup | None = None,
        directory: str | Path | None = None,
        facts: Mapping[str, Any] | None = None,
        on_step: Callable[[TrainStatus], None] | None = None,
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        self.net = net
        self.batches = batches
        self.settings = settings
        self.optim = optim or OptimSettings()
        self.sampler = sampler or UniformSampler(net.space)
        self.loss = loss or StitchLoss()
        self.mixup = mixup
        self.directory = None if directory is None else Path(directory)
        self.facts = dict(facts or {})
        self.on_step = on_step
        self.on_message = on_message
        self.device = check_device(settings.device, settings.precision)
        if shares_parameters(self.loss, net):
            raise RecipeError("The teacher shares weights with the network; copy it first, as anchor_teacher does.")

    def fit(self, *, resume: bool = False) -> TrainResult:
        """Train to the last step.

        The net keeps its mode (training or evaluation) and stays on the device that trained it; scores in its table
        and recalibrated running statistics were other weights' and go.

        Args:
            resume: Continue from the newest intact checkpoint of `directory`, from the start if there is none yet.

        Raises:
            TrainingError: If loss or gradients are not finite (the message names stitch and step).
            CheckpointError: If a checkpoint cannot be written or read, the directory holds another run, or a
                resumed run has other settings.
            TrainingInterrupted: After SIGINT or SIGTERM, once the state is saved.
        """
        was_training = self.net.training
        # At once, for checkpoints and averages hold none.
        self.net.forget_statistics()
        try:
            with fast_linear(self.device), self._frozen():
                return _Run(self, resume).go()
        finally:
            self.net.forget_scores()
            self.net.zero_grad(set_to_none=True)
            self.net.train(was_training)

    def _frozen(self) -> AbstractContextManager[None]:
        return without_gradients(self.net.anchors) if self.optim.frozen else nullcontext()


class _Run:
    """One call of `fit`: what it needs open, and where it stands."""

    def __init__(self, trainer: Trainer, resume: bool) -> None:
        self.trainer = trainer
        self.settings = settings = trainer.settings
        facts = run_facts(
            trainer.net,
            trainer.batches,
            settings,
            trainer.optim,
            trainer.sampler,
            trainer.loss,
            trainer.mixup,
            trainer.facts,
        )
        directory = trainer.directory
        self.store = self._open_store(directory, facts, resume) if directory else None
        accelerator = build_accelerator(
            trainer.device,
            settings.precision,
            settings.accumulation,
            settings.trackers if directory else (),
            directory / TRACKING if directory else None,
        )
        self.engine = Engine(
            trainer.net,
            accelerator,
            optim=trainer.optim,
            steps=settings.steps,
            loss=trainer.loss,
            mixup=trainer.mixup,
            clip_norm=settings.clip_norm,
            ema_decay=settings.ema_decay,
        )
        self.step = 0
        self.saved: Path | None = None
        self.unlogged: list[float] = []
        """Losses since the last line of the log."""
        self.recent: deque[tuple[float, int, float]] = deque(maxlen=_RECENT)
        """Loss, images and seconds of the last steps."""
        if resume and self.store is not None:
            self._restore(self.store)
        self.log = RunLog(directory / LOG if directory else None, self.step, accelerator, facts)

    def go(self) -> TrainResult:
        self.trainer.net.train()
        if self.trainer.optim.frozen:
            hold_statistics(self.engine.net.anchors)
        with self.log, StopRequest() as stop:
            stream = step_batches(self.trainer.batches, self.settings.accumulation, self.step)
            while self.step < self.settings.steps:
                self._one_step(stream, stop)
        return TrainResult(self.step, self._recent_loss(), self.saved, self.engine.averaged)

    def _one_step(self, stream: Iterator[tuple[Batch, ...]], stop: StopRequest) -> None:
        begun = time.perf_counter()
        try:
            batches = next(stream)
        except RuntimeError:
            # Ctrl-C reaches the workers of a data loader too, whose death is then no fault.
            if stop.signal is None:
                raise
        else:
            stitches = self._draw()
            update = self._update(batches, stitches)
            self.step += 1
            self._note(update, stitches, time.perf_counter() - begun)
            self._report(stitches)
        self._save_if_due(stop)

    def _draw(self) -> tuple[Stitch, ...]:
        sampler = self.trainer.sampler
        stitches = sampler.draw(self.step, stitch_generator(self.settings.seed, self.step))
        if not isinstance(stitches, tuple) or not stitches:
            raise TrainingError(
                f"{type(sampler).__name__}.draw gave {stitches!r}; it must give a tuple of at least one stitch."
            )
        return stitches

    def _update(self, batches: tuple[Batch, ...], stitches: tuple[Stitch, ...]) -> Update:
        try:
            return self.engine.update(self.settings.seed, self.step, batches, stitches)
        except TrainingError as error:
            kept = f"The last good checkpoint is {self.saved}." if self.saved else "There is no checkpoint yet."
            raise TrainingError(f"{error} {kept}") from error

    def _note(self, update: Update, stitches: tuple[Stitch, ...], seconds: float) -> None:
        self.unlogged.append(update.loss)
        self.recent.append((update.loss, update.images, seconds))
        if self.step % self.settings.log_every == 0 or self.step == self.settings.steps:
            self.log.write(
                {
                    "step": self.step,
                    "epoch": self._epoch(),
                    "loss": sum(self.unlogged) / len(self.unlogged),
                    **self.engine.rates(),
                    "grad_norm": update.grad_norm,
                    "stitch": join_ids(stitches),
                    "images_per_second": round(self._rate(), 1),
                }
            )
            self.unlogged.clear()

    def _report(self, stitches: tuple[Stitch, ...]) -> None:
        if self.trainer.on_step is not None:
            left = self.settings.steps - self.step
            self.trainer.on_step(
                TrainStatus(
                    step=self.step,
                    steps=self.settings.steps,
                    epoch=self._epoch(),
                    loss=self._recent_loss(),
                    lr=self.engine.rates().get("lr", 0.0),
                    images_per_second=self._rate(),
                    seconds_left=left * sum(seconds for *_, seconds in self.recent) / len(self.recent),
                    stitch=join_ids(stitches),
                )
            )

    def _save_if_due(self, stop: StopRequest) -> None:
        every = self.settings.save_every
        due = self.step == self.settings.steps or (every > 0 and self.step % every == 0)
        if stop.signal is not None:
            self._say(f"{signal.Signals(stop.signal).name} received: stopping after step {self.step}.")
        if self.store is not None and (due or stop.signal is not None):
            self.log.sync()
            self.saved = self.store.save(self.step, {**self.engine.state_dict(), "unlogged": list(self.unlogged)})
        if stop.signal is not None:
            raise TrainingInterrupted(self.step, self.saved, stop.signal)

    def _open_store(self, directory: Path, facts: Mapping[str, Any], resume: bool) -> CheckpointStore:
        store = CheckpointStore(
            directory / CHECKPOINTS, facts, keep=self.settings.keep, on_message=self.trainer.on_message
        )
        store.clean()
        if store.paths() and not resume:
            raise CheckpointError(
                f"{directory} holds the checkpoints of a run ({store.paths()[-1].name}). Resume it, or choose "
                "another directory."
            )
        return store

    def _restore(self, store: CheckpointStore) -> None:
        checkpoint = store.load_newest()
        if checkpoint is None:
            self._say(f"There is no checkpoint in {store.directory} yet; training starts at step 0.")
            return
        state = dict(checkpoint.state)
        self.unlogged = state.pop("unlogged")
        self.engine.load_state_dict(state)
        self.step, self.saved = checkpoint.step, checkpoint.path
        self._say(f"Resuming after step {self.step} of {self.settings.steps} from {checkpoint.path}.")

    def _epoch(self) -> float:
        return round(self.step * self.settings.accumulation / len(self.trainer.batches), 4)

    def _recent_loss(self) -> float:
        return sum(loss for loss, *_ in self.recent) / len(self.recent) if self.recent else math.nan

    def _rate(self) -> float:
        return sum(images for _, images, _ in self.recent) / max(sum(s for *_, s in self.recent), 1e-9)

    def _say(self, message: str) -> None:
        if self.trainer.on_message is not None:
            self.trainer.on_message(message)
