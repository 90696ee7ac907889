# Tested in tests/init/test_recalibration.py.
"""Statistics of batch norms, measured on what passes through them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import batch_norm

from snnet.anchors import BatchNorm
from snnet.errors import DataError
from snnet.network.statistics import BatchNormMode, own_statistics

OWN = 1 / 3
"""Weight of an anchor's own statistics beside that of the images, in `ComparingStatistics`."""


class MeasuringStatistics(BatchNormMode):
    """While entered, batch norms normalize with the batch's own statistics, which are pooled over all batches.

    The pooled mean and (unbiased) variance are those of all inputs at once; they are summed in float64.

    Args:
        norms: The batch norms.
    """

    def __init__(self, norms: Sequence[BatchNorm]) -> None:
        super().__init__(norms)
        self.norms = norms
        self.pools: dict[int, Pool] = {}

    def normalize(self, place: int, features: Tensor, options: dict[str, Any]) -> Tensor:
        """Take a batch's mean and variance into account, and normalize."""
        count, mean, variance = _measured(features)
        self.pools.setdefault(place, Pool()).add(count, mean, variance)
        mean, variance = self.fitting(place, mean, variance * ((count - 1) / count))
        return batch_norm(features, mean.to(features), variance.to(features), **options)

    def fitting(self, place: int, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return what a batch norm normalizes with, from the batch's mean and (biased) variance."""
        return mean, variance

    def result(self) -> Tensor:
        """Return mean and variance of each norm, flat; of a norm that did not run, its own."""
        pairs = [
            self.pooled(place) if place in self.pools else own_statistics(norm) for place, norm in enumerate(self.norms)
        ]
        return torch.cat([_exact(part).cpu() for pair in pairs for part in pair])

    def pooled(self, place: int) -> tuple[Tensor, Tensor]:
        """Return mean and variance of a norm that ran."""
        return self.pools[place].result()


class WatchingStatistics(MeasuringStatistics):
    """While entered, batch norms normalize with their own running statistics; what passes is measured beside.

    Args:
        norms: The batch norms.
    """

    def fitting(self, place: int, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return the norm's own."""
        return own_statistics(self.norms[place])


class ComparingStatistics(MeasuringStatistics):
    """While entered, batch norms normalize with their own statistics, changed by what a route makes of the features.

    The same images ran through the anchor as it is. How the mean and the variance behind a cut differ from those in
    the anchor is what the route changes; how both differ from the running statistics is what these few images
    happen to be, and drops out. The anchor's own statistics count beside the images with the weight `OWN`, which
    draws differences that are in part noise towards none, and holds channels that hardly one image stirs.

    Args:
        norms: The batch norms.
        watched: What the same batches gave in the anchor; it has run before.
    """

    def __init__(self, norms: Sequence[BatchNorm], watched: WatchingStatistics) -> None:
        super().__init__(norms)
        self.watched = watched

    def fitting(self, place: int, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return what fits by all batches until now."""
        return self.pooled(place)

    def pooled(self, place: int) -> tuple[Tensor, Tensor]:
        """Return the norm's own mean and variance, changed."""
        own_mean, own = map(_exact, own_statistics(self.norms[place]))
        (mean, variance), (base, spread) = self.pools[place].result(), self.watched.pools[place].result()
        floor = OWN * own + self.norms[place].eps
        return own_mean + (mean - base) / (1 + OWN), own * (variance + floor) / (spread + floor)


class Pool:
    """Mean and variance over the inputs of one batch norm, `(B, C, ...)`, batch after batch."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = torch.zeros((), dtype=torch.float64)

    def add(self, new: int, mean: Tensor, variance: Tensor) -> None:
        """Take `new` values per channel into account, by their mean and unbiased variance."""
        mean, variance = _exact(mean), _exact(variance)
        # Chan, Golub and LeVeque's update: no difference of large sums.
        shift, total = mean - self.mean, self.count + new
        self.squares = self.squares + variance * (new - 1) + shift**2 * (self.count * new / total)
        self.mean = self.mean + shift * (new / total)
        self.count = total

    def result(self) -> tuple[Tensor, Tensor]:
        """Return the mean and the unbiased variance."""
        return self.mean, self.squares / (self.count - 1)


def _measured(features: Tensor) -> tuple[int, Tensor, Tensor]:
    """Return the number of values per channel, their mean and their unbiased variance."""
    count = features.numel() // features.shape[1]
    if count < 2:
        raise DataError(
            "A batch of one image gives a batch norm one value per channel, which has no variance; give batches "
            "of two images or more."
        )
    features = features if features.dtype == torch.float64 else features.float()
    mean, variance = features.new_zeros(2, features.shape[1])
    # torch tells what it normalizes with: several times faster than `var_mean`, and summed in double precision.
    batch_norm(features, mean, variance, training=True, momentum=1.0)
    return count, mean, variance


def _exact(values: Tensor) -> Tensor:
    """Return values in float64; Apple's GPUs have none, so theirs go to the CPU."""
    return (values.cpu() if values.device.type == "mps" else values).double()
