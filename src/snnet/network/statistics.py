# Tested in tests/init/test_recalibration.py.
"""Running statistics of batch norms by route: kept beside the weights, and put to use without touching a module.

What reaches a batch norm depends on the steps before it, and so do the statistics that fit. They are therefore
kept per beginning of a route (`route_prefixes`), and routes that begin alike share them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from snnet.anchors import Anchor, BatchNorm, batch_norms
from snnet.errors import AnchorError
from snnet.space import Step


class RouteStatistics(nn.Module):
    """Running statistics by the beginning of a route, as buffers: they move, are saved and are loaded like weights.

    A buffer holds the mean and the variance of each batch norm of one step, one norm after another. Which
    beginnings there are is the business of whoever stores them, and on loading of the state that is loaded: weights
    that come without statistics leave none behind that were measured on others.

    Whatever changes them puts a new set in the place of the old one, so that a call which is under way in another
    thread uses one of the two and never a part.

    Attributes:
        norms: Batch norms of the steps as far as they were looked up. They are kept here so that a copy of the
            network, which copies this module, finds its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norms: dict[Step, list[BatchNorm]] = {}
        self.register_buffer("_home", torch.empty(0), persistent=False)

    def __len__(self) -> int:
        return len(self._buffers) - 1

    def __iter__(self) -> Iterator[str]:
        """Yield the beginnings that have statistics."""
        return (name for name in self._buffers if name != "_home")

    @property
    def home(self) -> Tensor:
        """A tensor without numbers that is where the network is, and of its type of number."""
        return cast(Tensor, self._buffers["_home"])

    @property
    def kept(self) -> Mapping[str, Tensor]:
        """What is kept by beginning of a route, for looking up many at once."""
        return cast(Mapping[str, Tensor], self._buffers)

    def norms_of(self, step: Step, owner: nn.Module) -> list[BatchNorm]:
        """Return the batch norms of one step of an anchor, or of a stitching layer, in the order of its modules."""
        if step not in self.norms:
            self.norms[step] = owner.step_norms(step) if isinstance(owner, Anchor) else batch_norms([owner])
        return self.norms[step]

    def get(self, prefix: str) -> Tensor | None:
        """Return the statistics after one beginning of a route, flat; None if there are none."""
        return self._buffers.get(prefix)

    def store(self, values: Mapping[str, Tensor], drop: Iterable[str] = ()) -> None:
        """Set statistics of some beginnings, all of them or none.

        Args:
            values: Beginning -> statistics, flat.
            drop: Beginnings whose statistics are forgotten.

        Raises:
            AnchorError: If a value is not finite in the network's number format.
        """
        ready = {prefix: value.detach().to(self.home) for prefix, value in values.items()}
        for prefix, value in ready.items():
            if not bool(value.isfinite().all()):
                raise AnchorError(
                    f"The features at {prefix} have no finite mean and variance in {value.dtype}; the weights or the "
                    "images there are NaN, infinite or too large."
                )
        gone = set(drop)
        self._replace({**{name: self._buffers[name] for name in self if name not in gone}, **ready})

    def clear(self) -> None:
        """Forget all statistics."""
        self.norms.clear()
        self._replace({})

    def _replace(self, values: Mapping[str, Tensor | None]) -> None:
        self.__dict__["_buffers"] = {"_home": self.home, **values}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: ARG002
        # As `to` and the like do, but at once.
        self.__dict__["_buffers"] = {name: fn(value) for name, value in self._buffers.items() if value is not None}
        return self

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,  # noqa: ARG002
        missing_keys: list[str],  # noqa: ARG002
        unexpected_keys: list[str],
        error_msgs: list[str],  # noqa: ARG002
    ) -> None:
        found = {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
        unknown = [name for name in found if ":" not in name or "." in name]
        unexpected_keys += [prefix + name for name in unknown]
        assign = local_metadata.get("assign_to_params_buffers", False)
        coming = {name: value for name, value in found.items() if name not in unknown}
        self.norms.clear()
        self._replace(coming if assign else {k: v.detach().to(self.home, copy=True) for k, v in coming.items()})


_OPTIONS = ("weight", "bias", "training", "momentum", "eps")  # of torch.nn.functional.batch_norm


class BatchNormMode(TorchFunctionMode):
    """While entered, in this thread alone, sees the batch norms that would use one of the given statistics."""

    def __init__(self, norms: Sequence[BatchNorm]) -> None:
        super().__init__()
        self.means = [norm._buffers["running_mean"] for norm in norms]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Hand batch norms in evaluation mode to `normalize`, and everything else on."""
        # Every call of torch within a step comes by.
        if func is not batch_norm:
            return func(*args, **(kwargs or {}))
        # In eager mode torch hands on the options by name, torch.compile by position.
        options = {**dict(zip(_OPTIONS, args[3:], strict=False)), **(kwargs or {})}
        if options.get("training"):
            return batch_norm(*args[:3], **options)
        for place, mean in enumerate(self.means):
            if mean is args[1]:
                return self.normalize(place, args[0], options)
        raise AnchorError(
            "A step with recalibrated statistics runs a batch norm that it did not have when they were measured; "
            "recalibrate the network again, or drop them with net.forget_statistics()."
        )

    def normalize(self, place: int, features: Tensor, options: dict[str, Any]) -> Tensor:
        """Run batch norm number `place`."""
        raise NotImplementedError


class UsingStatistics(BatchNormMode):
    """While entered, batch norms in evaluation mode use these statistics in place of their own.

    Args:
        norms: The batch norms.
        values: Mean and variance of each, one after another, flat.
    """

    def __init__(self, norms: Sequence[BatchNorm], values: Tensor) -> None:
        super().__init__(norms)
        self.values = statistics_of(norms, values)

    def normalize(self, place: int, features: Tensor, options: dict[str, Any]) -> Tensor:
        """Normalize by the kept mean and variance."""
        return batch_norm(features, *self.values[place], **options)


def statistics_of(norms: Sequence[BatchNorm], values: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return mean and variance of each batch norm out of what is kept for all of them, flat."""
    parts = torch.split(values, [norm.num_features for norm in norms for _ in range(2)])
    return list(zip(parts[::2], parts[1::2], strict=True))


def own_statistics(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance that a batch norm keeps itself."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var
