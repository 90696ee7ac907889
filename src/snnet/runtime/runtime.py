"""Stitches kept ready, and the best of them for every call's budget."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from snnet.errors import BudgetError, EngineError
from snnet.export.bundle import Bundle
from snnet.network import SNNet, StitchLike, check_like, fits
from snnet.runtime.engines.eager import EagerEngine
from snnet.runtime.engines.engine import Engine, Ready
from snnet.runtime.menu import Menu, known_table, spread, usual_cost
from snnet.runtime.precisions import engines_for, find_in, load_as
from snnet.runtime.records import Answer, Counters, Images, Switch
from snnet.runtime.shelf import Shelf
from snnet.space import Stitch
from snnet.table import StitchTable, pareto_frontier, precisions_of
from snnet.utils import Show, counted, shows_progress

_LOG = logging.getLogger(__name__)
_TELLING = 0.2  # seconds


class Runtime:
    """Answers batches within budgets by stitches that are ready, from as many threads as there are.

    Nothing is ever built while a batch waits. A background thread makes stitches ready; until the stitch that a
    budget asks for is, the best ready one within the budget answers. The cheapest stitch is made ready by the
    constructor, so there is an answer from the beginning.

    What answers is a stitch in a precision: where the profile has rows in several (`snnet.table.with_precisions`), each
    precision has an engine of its own, and `0:0-5,1:6-12@bf16` is a stitch like any other. Images and logits are of the
    first engine's type whatever runs.

    Args:
        net: The network, or a bundle of it, which needs no network; its table says what stitches cost and how good
            they are.
        engine: How stitches run: a name in `ENGINES`, or an engine built on this network or bundle. If None, a network
            runs on `eager` and a bundle on onnxruntime, its only one.
        stitches: Those that may answer; the frontier of `cost` and `prefer` if None.
        profile: In place of `net.table`, such as a table measured on this machine.
        prefer: Column to be best in; the score that the table is chosen by if None.
        cost: Column that makes the frontier and says which stitch is the cheapest; `latency_ms` if every stitch has
            one that holds here, else `macs`.
        batch_sizes: Images per batch that every ready stitch is prepared for. An engine that has to build for each
            (`compile`) refuses others.
        max_ready: How many stitches are ready at most, at least 2. Others make room when they were not used for the
            longest time.
        max_bytes: Memory that ready stitches hold at most beyond shared weights.
        any_machine: Take latencies that were measured on another machine or engine, or in another precision, as
            they are.

    Raises:
        BudgetError: If there is no table, or it lacks a column.
        EngineError: If the cheapest stitch cannot be made ready, or a bound is too small; or an engine was given built,
            and the profile has several precisions.
        SpaceError: If a stitch is not in the network's space.
        TableError: If `cost` or `prefer` was measured on another machine or engine, or in another precision.

    Example:
        >>> runtime = Runtime(net)  # or Runtime(Bundle.open("bundle"))
        >>> logits = runtime(images, latency_ms=8)
    """

    def __init__(
        self,
        net: SNNet | Bundle,
        engine: str | Engine | None = None,
        *,
        stitches: Iterable[StitchLike] | None = None,
        profile: StitchTable | None = None,
        prefer: str | None = None,
        cost: str | None = None,
        batch_sizes: Sequence[int] = (1,),
        max_ready: int | None = None,
        max_bytes: int | None = None,
        any_machine: bool = False,
    ) -> None:
        # First, for without one there is nothing to build an engine for.
        table = known_table(net, profile)
        self.net, self.batch_sizes = net, tuple(batch_sizes)
        owned = not isinstance(engine, Engine)
        self._engines = engines_for(net, engine, precisions_of(table))
        self.engine = self._engines[""]
        kind = {"precision": self.engine.conditions.precision, "engine": self.engine.name}
        # A bundle's own table is the network's, and may speak of the engine that the network runs on.
        refusing = profile is not None or isinstance(net, SNNet)
        self.cost = cost = cost or usual_cost(table, None if any_machine else kind, refusing=refusing)
        if stitches is None:
            chosen = pareto_frontier(table, cost, prefer)
        else:
            wanted = {find_in(net, stitch, self._engines).id for stitch in stitches}
            chosen = table.where(lambda row: row.stitch in wanted)
        self._size, self._like, self._any_size = _images_of(net, self.engine)
        self.menu = Menu(chosen, prefer, **kind, any_machine=any_machine)
        self.on_switch: list[Callable[[Switch], object]] = []
        self._lock = threading.Lock()
        self._current: Stitch | None = None
        self._switches = self._substituted = 0
        self._answers: Counter[Stitch] = Counter()
        rows = sorted(self.menu.table, key=lambda row: row.get(cost) or 0.0)
        self._shelf = self._first_ready(
            self.menu.cheapest(cost),
            spread(row.route for row in rows),
            max_ready=max_ready,
            max_bytes=max_bytes,
            at_end=self._close_engines if owned else lambda: None,
            progress=None if self.engine.builds else False,
        )

    def __call__(
        self, images: Images, *, stitch: StitchLike | None = None, wait: bool = False, **limits: float
    ) -> Images:
        """Return the logits of a batch, see `run`."""
        return self.run(images, stitch=stitch, wait=wait, **limits).logits

    def run(
        self, images: Images, *, stitch: StitchLike | None = None, wait: bool = False, **limits: float
    ) -> Answer[Images]:
        """Answer a batch by the best ready stitch within all limits, or by one stitch.

        Args:
            images: `(B, C, H, W)`, normalized as `net.input` says, of the engine's device and type. An array of numpy
                is answered by one.
            stitch: The stitch to run, in place of limits.
            wait: Wait until the stitch is ready.
            limits: Column = limit, as `snnet.select` takes them: `latency_ms=8`. Latencies are those measured for
                batches of this size.

        Raises:
            BudgetError: If nothing fits, or limits and a stitch are given.
            DataError: If the images have another shape, device or type than the engine takes.
            SpaceError: If there is no such stitch.
            TableError: If a limit is on what was measured on another machine or engine, or in another precision.
            EngineError: If the stitch is not ready, or stitches are not prepared for batches of this size.
        """
        if stitch is None:
            return self.run_within(images, limits)
        if limits:
            raise BudgetError(f"A stitch and limits ({', '.join(limits)}) were given; give one of the two.")
        self._check(images)
        route = self.find(stitch)
        with self._shelf.taken(route, wait=wait) as ready:
            if ready is None:
                why: object = self._shelf.failures.get(route) if wait else None
                if why is None:
                    self.prepare(route)
                    why = "it is being made ready; wait=True waits for it"
                raise EngineError(f"Stitch {route} is not ready: {why}.")
            return self._answer(ready, images, route, route, {})

    def run_within(self, images: Images, limits: Mapping[str, float]) -> Answer[Images]:
        """Answer a batch by the best ready stitch within all limits, as `run` does.

        Args:
            images: `(B, C, H, W)`, normalized, a tensor or an array of numpy.
            limits: Column to limit.
        """
        self._check(images)
        while True:
            chosen, wanted = self._choose(limits, len(images))
            with self._shelf.taken(chosen) as ready:
                # It may have had to make room in between; then another one answers.
                if ready is not None:
                    return self._answer(ready, images, chosen, wanted, limits)

    def find(self, stitch: StitchLike) -> Stitch:
        """Return the stitch of a number, an id, also one that ends with a precision (`@bf16`), or a value.

        Args:
            stitch: What is looked for.

        Raises:
            SpaceError: If there is no such stitch, or nothing runs in this precision.
        """
        return find_in(self.net, stitch, self._engines)

    def choose(self, batch: int = 1, **limits: float) -> Stitch:
        """Return the stitch that would answer now, and have the best one made ready if it is not.

        Args:
            batch: Images of the batch.
            limits: Column to limit.

        Raises:
            BudgetError: If nothing fits.
        """
        return self._choose(limits, batch)[0]

    @property
    def stitches(self) -> tuple[Stitch, ...]:
        """The stitches that may answer limits, in the order of the space."""
        return tuple(row.route for row in self.menu.table)

    @property
    def ready(self) -> tuple[Stitch, ...]:
        """The stitches that are ready."""
        return self._shelf.stitches

    @property
    def floor(self) -> Stitch:
        """The cheapest stitch, which is always ready."""
        return self._shelf.floor

    @property
    def failures(self) -> Mapping[Stitch, Exception]:
        """Stitches that the engine could not make ready, and why."""
        return self._shelf.failures

    def prepare(self, *stitches: StitchLike) -> None:
        """Have stitches made ready in the background, also those that failed before.

        Raises:
            SpaceError: If there is no such stitch.
        """
        for route in [self.find(stitch) for stitch in stitches]:
            self._shelf.ask_for(route, again=True)

    @shows_progress("Making stitches ready")
    def wait_ready(self, timeout: float | None = None, *, progress: Show = None) -> None:
        """Wait until everything asked for is ready: at first all stitches for which there is room.

        Args:
            timeout: Seconds to wait at most.
            progress: Told stitches ready, these and those that wait, and nothing; None shows a bar where someone
                watches, False nothing.

        Raises:
            EngineError: If time is over, or a stitch could not be made ready.
        """
        tell = progress or (lambda *_: None)
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while not self._shelf.wait(timeout=min(_TELLING, max(end - time.monotonic(), 0.0))):
            if time.monotonic() >= end:
                raise EngineError(
                    f"After {timeout} s {counted(self._shelf.waiting, 'stitch')} still not ready; wait longer."
                )
            tell(len(self.ready), len(self.ready) + self._shelf.waiting, "")
        tell(len(self.ready), len(self.ready), "")
        for stitch, error in (failures := self._shelf.failures).items():
            raise EngineError(
                f"{counted(len(failures), 'stitch')} cannot be made ready, the first of them {stitch}: {error}"
            ) from error

    def counters(self) -> Counters:
        """Return what happened so far."""
        with self._lock:
            answers = dict(self._answers)
            told = {"substituted": self._substituted, "switches": self._switches}
        return Counters(calls=sum(answers.values()), answers=answers, **{**told, **self._shelf.counters()})

    def close(self) -> None:
        """Answer no more, wait for calls under way, and let go of all stitches; also of an engine given by name.

        A build that is under way ends in the background, for it may take long; only then an engine lets go.
        """
        self._shelf.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _check(self, images: Images) -> None:
        given: object = images
        if isinstance(images, np.ndarray):
            given = torch.from_numpy(np.ascontiguousarray(images)).to(self._like.device)
        if not fits(given, self._size, self._like):
            owner = "runtime.engine.conditions"
            check_like(given, self._size, self._like, any_size=self._any_size, owner=owner)

    def _choose(self, limits: Mapping[str, float], batch: int) -> tuple[Stitch, Stitch]:
        wanted = self.menu.best(limits, batch)
        if wanted in self._shelf:
            return wanted, wanted
        self._shelf.ask_for(wanted)
        try:
            return self.menu.best(limits, batch, among=self._shelf.__contains__), wanted
        except BudgetError:
            self._shelf.check_open()
            raise

    def _answer(
        self, ready: Ready, images: Images, chosen: Stitch, wanted: Stitch, limits: Mapping[str, float]
    ) -> Answer[Images]:
        if not isinstance(images, Tensor):
            given = torch.from_numpy(np.ascontiguousarray(images)).to(self.engine.conditions.device)
            return Answer(self._answer(ready, given, chosen, wanted, limits).logits.cpu().numpy(), chosen, wanted)
        if not ready.serves(images):
            raise EngineError(
                f"Stitches are not prepared for {images.dtype} of shape {tuple(images.shape)}; batches of "
                f"{', '.join(map(str, self.batch_sizes))} run at once. Runtime(batch_sizes=...) names others."
            )
        self._note(chosen, wanted, limits)
        return Answer(ready(images), chosen, wanted)

    def _note(self, chosen: Stitch, wanted: Stitch, limits: Mapping[str, float]) -> None:
        with self._lock:
            self._answers[chosen] += 1
            self._substituted += chosen != wanted
            before, self._current = self._current, chosen
            if before == chosen:
                return
            self._switches += before is not None
        event = Switch(before, chosen, wanted, limits, time.monotonic())
        for listener in tuple(self.on_switch):
            try:
                listener(event)
            except Exception:
                # Whoever watches must not cost an answer.
                _LOG.exception("a listener to switches failed")

    @shows_progress("Making the first stitch ready")
    def _first_ready(self, floor: Stitch, *fill: Any, progress: Show = None, **options: Any) -> Shelf:
        tell = progress or (lambda *_: None)
        note = f"{floor} on {self.engine.name}; the others follow in the background"
        tell(0, 1, note)
        shelf = Shelf(self._build, floor, *fill, **options)
        tell(1, 1, note)
        return shelf

    def _build(self, stitch: Stitch) -> Ready:
        conditions, ready = self.engine.conditions, load_as(self.engine.conditions, self._engines, stitch)
        for batch in self.batch_sizes:
            shape = (batch, *self.net.input.size)
            ready.prepare(torch.zeros(shape, device=conditions.device, dtype=conditions.dtype))
        return ready

    def _close_engines(self) -> None:
        for engine in set(self._engines.values()):
            engine.close()


def _images_of(net: SNNet | Bundle, engine: Engine) -> tuple[torch.Size, Tensor, bool]:
    """Return what size of images an engine takes, a tensor of their device and type, and whether any size will do."""
    like = torch.empty(0, dtype=engine.conditions.dtype, device=engine.conditions.device)
    # Graphs and compiled steps are made for one size.
    any_size = isinstance(engine, EagerEngine) and all(anchor.any_size for anchor in engine.net.family)
    return torch.Size(net.input.size), like, any_size
