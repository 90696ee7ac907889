"""Under what a latency was measured: the device, the precision, the threads."""

from dataclasses import dataclass

import torch

from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.utils import precision_of, torch_dtype


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
