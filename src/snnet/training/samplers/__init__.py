"""Which stitches each step trains."""

from snnet.training.samplers.macs_buckets import MacsBucketsSampler
from snnet.training.samplers.samplers import (
    SAMPLERS,
    AnchorShareSampler,
    SingleSampler,
    StitchSampler,
    UniformSampler,
    with_something_to_train,
)
from snnet.training.samplers.sandwich import SandwichSampler
from snnet.training.samplers.weighted import WeightedSampler

__all__ = [
    "SAMPLERS",
    "AnchorShareSampler",
    "MacsBucketsSampler",
    "SandwichSampler",
    "SingleSampler",
    "StitchSampler",
    "UniformSampler",
    "WeightedSampler",
    "with_something_to_train",
]
