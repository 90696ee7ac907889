"""Following a budget that changes, without flapping: down at once, up when it has paid for a while."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from snnet.errors import BudgetError
from snnet.runtime.budgets import Budgeting, as_reader
from snnet.runtime.records import Answer, Images
from snnet.runtime.runtime import Runtime
from snnet.space import Stitch
from snnet.table import LATENCY
from snnet.table import column as described


class Governor:
    """Asks a runtime for what a changing budget allows.

    Each call reads the budget. When the stitch in force no longer fits, another takes its place at once, so the
    stitch that is asked for never costs more than the budget read by that call. A better stitch takes its place only
    when it has fitted with a margin all the time for a while. A budget below the cheapest stitch gets the cheapest,
    and is counted. Safe to call from several threads.

    Args:
        runtime: Runs the stitches. Every switch comes to its `on_switch`.
        budget: A number, which `governor.budget = ...` changes; or a function (or an object of `snnet.runtime`)
            that returns one. It is called for each batch and must be quick; `Polled` makes a slow one quick. If it
            has a method `observe(expected, measured)`, that is told what each call was to take, and took, in ms.
        column: What the budget limits.
        hysteresis: Share of its cost by which a better stitch must fit besides.
        dwell: Seconds for which it must have fitted, and the stitch in force been in force.
        clock: Tells seconds.

    Attributes:
        over_budget: Calls whose budget was below the cheapest ready stitch.

    Raises:
        BudgetError: If the table lacks the column, more of it is better, or a setting is negative.
    """

    def __init__(
        self,
        runtime: Runtime,
        budget: Budgeting,
        *,
        column: str = LATENCY,
        hysteresis: float = 0.1,
        dwell: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if described(column).higher_is_better:
            raise BudgetError(f"A governor keeps a column below a budget, and of {column!r} more is better.")
        if hysteresis < 0 or dwell < 0:
            raise BudgetError(f"hysteresis is {hysteresis} and dwell {dwell}; accepted: 0 and more.")
        self.runtime, self.column, self.hysteresis, self.dwell = runtime, column, hysteresis, dwell
        self.over_budget = 0
        self.budget = budget
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[int, _Held] = {}
        for batch in runtime.batch_sizes:
            runtime.menu.cheapest(column, batch)

    @property
    def budget(self) -> float:
        """The budget now; to set it ends following whatever was followed."""
        return self._read()

    @budget.setter
    def budget(self, budget: Budgeting) -> None:
        self._read, self._observe = as_reader(budget), getattr(budget, "observe", None)

    def __call__(self, images: Images) -> Images:
        """Return the logits of a batch, see `run`."""
        return self.run(images).logits

    def run(self, images: Images) -> Answer[Images]:
        """Answer a batch within the budget of this moment.

        Raises:
            EngineError: If stitches are not prepared for batches of this size.
        """
        batch = len(images)
        limit = self.limit(batch)
        start = self._clock()
        try:
            answer = self.runtime.run_within(images, {self.column: limit})
        except BudgetError:
            # Cheapest in another column than the runtime's, this stitch may not be ready; that one always is.
            with self._lock:
                self.over_budget += 1
            floor = self.runtime.menu.value(self.runtime.floor, self.column, batch)
            answer = self.runtime.run_within(images, {self.column: floor})
        if self._observe is not None:
            if isinstance(answer.logits, Tensor) and answer.logits.device.type != "cpu":
                # Accelerators run behind: without this only the launch would be timed.
                torch.accelerator.synchronize(answer.logits.device)
            expected = self.runtime.menu.value(answer.stitch, self.column, batch)
            self._observe(expected, 1e3 * (self._clock() - start))
        return answer

    def limit(self, batch: int = 1) -> float:
        """Read the budget, decide, and return the limit in force: at most the budget, if anything fits into it."""
        budget = self._read()
        menu = self.runtime.menu
        with self._lock:
            held = self._held.get(batch)
            if held is None or budget < held.cost:
                stitch = menu.cheapest(self.column, batch)
                if budget < menu.value(stitch, self.column, batch):
                    self.over_budget += 1
                else:
                    stitch = menu.best({self.column: budget}, batch)
            elif (room := self._room_above(held, budget, batch)) is not None:
                stitch = menu.best({self.column: room}, batch)
            else:
                return held.cost
            self._held[batch] = _Held(stitch, menu.value(stitch, self.column, batch))
            return self._held[batch].cost

    def _room_above(self, held: "_Held", budget: float, batch: int) -> float | None:
        """Return what a better stitch may cost, once there has been room for one for long enough."""
        room = budget / (1 + self.hysteresis)
        if room < held.cost or self.runtime.menu.best({self.column: room}, batch) == held.stitch:
            held.since = None
            return None
        now = self._clock()
        if held.since is None:
            held.since, held.room = now, room
        # The least there was all the time: one glimpse of plenty is not enough.
        held.room = min(held.room, room)
        return held.room if now - held.since >= self.dwell else None


@dataclass
class _Held:
    """The stitch in force, what it costs, and since when, and how much, room there has been for a better one."""

    stitch: Stitch
    cost: float
    since: float | None = None
    room: float = 0.0
