# Tested in tests/runtime/engines/test_eager.py.
"""What makes stitches of a network ready to run, under which conditions, and what a ready stitch is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from snnet.errors import RecipeError
from snnet.network import Given, SNNet, StitchLike
from snnet.space import Step
from snnet.utils import Registry, precision_of, torch_dtype


@dataclass(frozen=True)
class Conditions:
    """What must agree for two latencies to be compared.

    Attributes:
        device: Where the network runs.
        precision: Type of weights and images, such as `fp32`.
        threads: Threads of torch on the CPU.
    """

    device: torch.device
    precision: str
    threads: int

    @classmethod
    def of(
        cls,
        net: SNNet,
        device: str | torch.device | None = None,
        precision: str | None = None,
        threads: int | None = None,
    ) -> "Conditions":
        """Complete what is not given from where `net` lies and from torch's settings.

        Raises:
            RecipeError: If this machine has no such device, there is no such precision, or `net` has shapes only.
        """
        first = next(net.parameters())
        if first.is_meta:
            raise RecipeError(
                "The network lies on the meta device and has no numbers to run; to measure latency, build it on "
                f"one of {_devices()}."
            )
        threads = torch.get_num_threads() if threads is None else threads
        name = precision_of(first.dtype if precision is None else torch_dtype(precision))
        return cls(_device(first.device if device is None else device), name, threads)

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch's type."""
        return torch_dtype(self.precision)

    def to_dict(self) -> dict[str, str | int]:
        """Return the conditions as plain values, for the facts of a table."""
        return {"device": str(self.device), "precision": self.precision, "threads": self.threads}


class Ready(ABC):
    """A stitch, or one step of one, that runs at once. Safe to call from several threads.

    Attributes:
        nbytes: Memory in bytes that goes when this is closed; weights that others share are not counted.
    """

    nbytes: int = 0

    @abstractmethod
    def __call__(self, images: Any) -> Tensor:
        """Run it: images `(B, C, H, W)` to outputs `(B, ...)`, or what a step takes to what it gives."""

    def serves(self, images: Any) -> bool:  # noqa: ARG002
        """Tell whether images of this shape and type run at once; where not, `prepare` sees to it."""
        return True

    def prepare(self, images: Any) -> None:
        """Do whatever the first call with images of this shape would have to do."""
        self(images)

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

    Attributes:
        name: What it is looked up by.
        builds: Whether loading takes long enough to be told.
    """

    name: ClassVar[str]
    builds: ClassVar[bool] = True

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
    def load_step(self, step: Step, example: Given) -> Ready:
        """Return one step of a route alone, for measuring.

        Args:
            step: One of `net.steps(stitch)`.
            example: What the step is given, of the shape and type that it will be run with.
        """


ENGINES: Registry[type[NetworkEngine]] = Registry("engine", "snnet.engines")
"""Engine classes by name; `@ENGINES.register("name")` files one."""


def _device(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    if found is None or str(found) not in _devices():
        raise RecipeError(f"Unknown device {str(device)!r}; this machine has {_devices()}.")
    if found.type != "cpu" and found.index is None:
        # `cuda` and `cuda:0` are one place, and must read the same in a table.
        return torch.device(found.type, torch.accelerator.current_device_index())
    return found


def _devices() -> list[str]:
    """Return the names of the devices of this machine."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    return ["cpu", accelerator.type, *(f"{accelerator.type}:{n}" for n in range(torch.accelerator.device_count()))]
