"""Training all stitches of a network at once."""

from snnet.training.distillation import (
    Distillation,
    Following,
    ModelTeacher,
    OwnAnchorTeacher,
    Teacher,
    anchor_teacher,
)
from snnet.training.interrupt import TrainingInterrupted
from snnet.training.loss import StitchLoss
from snnet.training.optim import OptimSettings, build_optimizer, build_schedule, parameter_groups
from snnet.training.samplers import (
    SAMPLERS,
    AnchorShareSampler,
    MacsBucketsSampler,
    SandwichSampler,
    StitchSampler,
    UniformSampler,
    WeightedSampler,
)
from snnet.training.settings import TrainResult, TrainSettings, TrainStatus
from snnet.training.stream import Batches
from snnet.training.teachers import timm_teacher
from snnet.training.trainer import Trainer

__all__ = [
    "SAMPLERS",
    "AnchorShareSampler",
    "Batches",
    "Distillation",
    "Following",
    "MacsBucketsSampler",
    "ModelTeacher",
    "OptimSettings",
    "OwnAnchorTeacher",
    "SandwichSampler",
    "StitchLoss",
    "StitchSampler",
    "Teacher",
    "TrainResult",
    "TrainSettings",
    "TrainStatus",
    "Trainer",
    "TrainingInterrupted",
    "UniformSampler",
    "WeightedSampler",
    "anchor_teacher",
    "build_optimizer",
    "build_schedule",
    "parameter_groups",
    "timm_teacher",
]
