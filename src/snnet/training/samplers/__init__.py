"""Which stitches each step trains."""

from snnet.training.samplers.anchor_share import AnchorShareSampler
from snnet.training.samplers.base import SAMPLERS, StitchSampler
from snnet.training.samplers.macs_buckets import MacsBucketsSampler
from snnet.training.samplers.sandwich import SandwichSampler
from snnet.training.samplers.single import SingleSampler
from snnet.training.samplers.uniform import UniformSampler
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
]
