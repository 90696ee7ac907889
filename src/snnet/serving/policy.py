# Tested in tests/serving/policies/test_policies.py.
"""What a policy is: it says what a free worker does next."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from snnet.serving.options import Options
from snnet.serving.plans import Plans
from snnet.serving.queue import Summary
from snnet.utils import Registry


@dataclass(frozen=True, slots=True)
class Workers:
    """What a policy learns of the workers.

    Attributes:
        count: How many there are.
        idle: How many of them have nothing to do, with the one that asks.
        backlog: Seconds that the others need, together, until they are free.
        loaded: Stitch that the worker that asks ran last; empty if none.
    """

    count: int = 1
    idle: int = 1
    backlog: float = 0.0
    loaded: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Answer the most urgent images.

    Attributes:
        row: Which row of the options answers.
        images: How many.
        drop: How many images before them are given up, because they cannot be answered in time without making others
            late.
    """

    row: int
    images: int
    drop: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until a time, in seconds, or until something changes.

    Attributes:
        until: That time.
    """

    until: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Give the most urgent images up, and ask again.

    Attributes:
        images: How many.
    """

    images: int


Decision: TypeAlias = Run | Wait | Drop


class Policy(ABC):
    """Decides what a free worker does with the requests that wait.

    A policy reads no clock and touches nothing: the simulator and the server ask the same one. It is made once for a
    set of options, so that what can be worked out beforehand is. What takes long it leaves to `plans`, which a server
    has worked out beside its decisions. Register your own with `@POLICIES.register("name")`.

    Args:
        options: What can be done. `options.factor` may change between decisions.

    Attributes:
        plans: Keeps what it works out; its own until whoever made it gives it others.
        swaps: Whether workers hold one model at a time and must load another.
    """

    swaps: ClassVar[bool] = False

    def __init__(self, options: Options) -> None:
        self.options, self.plans = options, Plans()

    @abstractmethod
    def decide(self, waiting: Summary, now: float, workers: Workers) -> Decision:
        """Return what a free worker does now.

        Args:
            waiting: The requests that wait, at least one image.
            now: Seconds of the clock that deadlines are of.
            workers: The workers, of which at least one is free.
        """

    def prepare(self, allowance: float, workers: int) -> None:  # noqa: B027
        """Work out beforehand what would hold up decisions later; nothing by default.

        Args:
            allowance: Seconds that most requests will have between arrival and deadline.
            workers: How many there will be.
        """

    def alone(self, waiting: Summary, slack: float) -> Decision:
        """Return the best row that answers the most urgent request by itself; it is given up if none does.

        Args:
            waiting: The requests that wait.
            slack: Seconds, by the measured latencies, that are left for the most urgent.
        """
        if waiting.least <= self.options.max_batch:
            fits = np.flatnonzero(self.options.latencies[:, waiting.least - 1] <= slack)
            if len(fits):
                return Run(int(fits[-1]), waiting.least)
        return Drop(waiting.least)

    def loading_seconds(self, loaded: str, row: int) -> float:  # noqa: ARG002
        """Return how long a worker that has `loaded` in place needs before it can run the stitch of `row`."""
        return 0.0


POLICIES: Registry[type[Policy]] = Registry(
    "policy",
    "snnet.policies",
    tuple(f"snnet.serving.policies.{name}" for name in ("elastic", "slackfit", "plain", "switching")),
)
"""Policy classes by name; `@POLICIES.register("name")` files one."""
