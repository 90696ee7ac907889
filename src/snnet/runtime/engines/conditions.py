"""Under what a latency was measured: the device, the type of number, the threads."""

from dataclasses import dataclass

import torch

from snnet.errors import RecipeError
from snnet.network import SNNet


@dataclass(frozen=True)
class Conditions:
    """What must agree for two latencies to be compared.

    Attributes:
        device: Where the network runs.
        dtype: Type of weights and images.
        threads: Threads of torch on the CPU.
    """

    device: torch.device
    dtype: torch.dtype
    threads: int

    @classmethod
    def of(
        cls,
        net: SNNet,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        threads: int | None = None,
    ) -> "Conditions":
        """Complete what is not given from where `net` lies and from torch's settings.

        Raises:
            RecipeError: If this machine has no such device, or `net` has shapes only.
        """
        first = next(net.parameters())
        if first.is_meta:
            raise RecipeError(
                "The network lies on the meta device and has no numbers to run; to measure latency, build it on "
                f"one of {_devices()}."
            )
        threads = torch.get_num_threads() if threads is None else threads
        return cls(_device(first.device if device is None else device), dtype or first.dtype, threads)

    def to_dict(self) -> dict[str, str | int]:
        """Return the conditions as plain values, for the facts of a table."""
        return {"device": str(self.device), "dtype": str(self.dtype).removeprefix("torch."), "threads": self.threads}


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
