"""Training all stitches of a network at once."""

from snnet.training.checkpoint import CHECKPOINTS, content_digest
from snnet.training.distillation import Distillation, ModelTeacher, OwnAnchorTeacher, Teacher, anchor_teacher
from snnet.training.drop_path import drop_path_settings, with_drop_path
from snnet.training.facts import FREE_SETTINGS
from snnet.training.freezing import with_something_to_train
from snnet.training.interrupt import TrainingInterrupted
from snnet.training.loss import StitchLoss, build_loss
from snnet.training.optim import build_optimizer, build_schedule, parameter_groups
from snnet.training.probe import Probe, spread_of
from snnet.training.randomness import stitch_generator
from snnet.training.removed import REMOVED_SETTINGS, removed_fault
from snnet.training.samplers import (
    SAMPLERS,
    AnchorShareSampler,
    MacsBucketsSampler,
    SandwichSampler,
    StitchSampler,
    UniformSampler,
    WeightedSampler,
)
from snnet.training.settings import (
    IN_PLACE,
    DistillationSettings,
    Freeze,
    LossSettings,
    OptimSettings,
    RunSettings,
    Sharding,
    TeacherSettings,
    TrainResult,
    TrainStatus,
)
from snnet.training.stream import Batches
from snnet.training.teachers import timm_teacher
from snnet.training.trainer import Trainer

__all__ = [
    "CHECKPOINTS",
    "FREE_SETTINGS",
    "IN_PLACE",
    "REMOVED_SETTINGS",
    "SAMPLERS",
    "AnchorShareSampler",
    "Batches",
    "Distillation",
    "DistillationSettings",
    "Freeze",
    "LossSettings",
    "MacsBucketsSampler",
    "ModelTeacher",
    "OptimSettings",
    "OwnAnchorTeacher",
    "Probe",
    "RunSettings",
    "SandwichSampler",
    "Sharding",
    "StitchLoss",
    "StitchSampler",
    "Teacher",
    "TeacherSettings",
    "TrainResult",
    "TrainStatus",
    "Trainer",
    "TrainingInterrupted",
    "UniformSampler",
    "WeightedSampler",
    "anchor_teacher",
    "build_loss",
    "build_optimizer",
    "build_schedule",
    "content_digest",
    "drop_path_settings",
    "parameter_groups",
    "removed_fault",
    "spread_of",
    "stitch_generator",
    "timm_teacher",
    "with_drop_path",
    "with_something_to_train",
]
