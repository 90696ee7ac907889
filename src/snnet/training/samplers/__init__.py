"""Which stitches each step trains."""

from snnet.training.samplers.anchor_share import AnchorShareSampler
from snnet.training.samplers.base import SAMPLERS, StitchSampler
from snnet.training.samplers.single import SingleSampler
from snnet.training.samplers.uniform import UniformSampler

__all__ = ["SAMPLERS", "AnchorShareSampler", "SingleSampler", "StitchSampler", "UniformSampler"]
