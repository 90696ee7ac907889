# Tested in tests/runtime/engines/test_eager.py.
"""What makes stitches of a network ready to run, and what a ready stitch is."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from snnet.network import SNNet, StitchLike
from snnet.runtime.engines.conditions import Conditions
from snnet.space import Step
from snnet.utils import Registry


class Ready(ABC):
    """A stitch, or one step of one, that runs at once. Safe to call from several threads."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Run it: images `(B, C, H, W)` to logits `(B, classes)`, or features to features for a step."""

    def serves(self, images: Tensor) -> bool:  # noqa: ARG002
        """Tell whether images of this shape and type run at once; where not, `prepare` sees to it."""
        return True

    def prepare(self, images: Tensor) -> None:
        """Do whatever the first call with images of this shape would have to do."""
        self(images)

    @property
    def nbytes(self) -> int:
        """Memory in bytes that goes when this is closed; weights that others share are not counted."""
        return 0

    def close(self) -> None:  # noqa: B027
        """Let go of what only this one holds; calls that are under way end as if nothing had happened."""


class Engine(ABC):
    """One way to run stitches on one device.

    Loading may take seconds (a compilation, an export), running never waits for it. An engine keeps one copy of the
    weights for all that it loads, as far as its library can.

    Args:
        conditions: Device, precision and threads.

    Raises:
        ExtraError: If the library that runs it is not installed.
        EngineError: If it cannot run under these conditions.
    """

    name: ClassVar[str]

    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions

    @abstractmethod
    def load(self, stitch: StitchLike) -> Ready:
        """Return a stitch, ready to run.

        Raises:
            SpaceError: If there is no such stitch.
            EngineError: If the engine cannot make it ready.
        """

    def close(self) -> None:  # noqa: B027
        """Let go of the weights; nothing that was loaded may be called afterwards."""


class NetworkEngine(Engine):
    """An engine that makes stitches of a network ready, and steps of them, which `snnet.profile` measures.

    Args:
        net: The network; it is neither moved nor changed. Changes of its weights in place reach engines that share
            its tensors.
        conditions: Device, precision and threads; those of the network and of torch if None.
    """

    def __init__(self, net: SNNet, conditions: Conditions | None = None) -> None:
        super().__init__(conditions or Conditions.of(net))
        self.net = net

    @abstractmethod
    def load_step(self, step: Step, example: Tensor) -> Ready:
        """Return one step of a route alone, for measuring.

        Args:
            step: One of `net.steps(stitch)`.
            example: What the step is given, of the shape and type that it will be run with.
        """


ENGINES: Registry[type[NetworkEngine]] = Registry("engine", "snnet.engines")
"""Engine classes by name; `@ENGINES.register("name")` files one."""
