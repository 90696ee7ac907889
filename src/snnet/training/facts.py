"""What must be equal for one run to continue another, as flat plain values."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from snnet.network import SNNet
from snnet.training.checkpoint import Settings, content_digest
from snnet.training.loss import StitchLoss
from snnet.training.optim import OptimSettings
from snnet.training.samplers.base import StitchSampler
from snnet.training.settings import TrainSettings
from snnet.training.stream import Batches
from snnet.utils import flatten

FREE_SETTINGS = ("device", "sharding", "log_every", "save_every", "keep", "trackers")
"""Settings that may change between the parts of a run, for they do not change what is computed or logged."""


def run_facts(
    net: SNNet,
    batches: Batches,
    settings: TrainSettings,
    optim: OptimSettings,
    sampler: StitchSampler,
    loss: StitchLoss,
    mixup: object,
    others: Mapping[str, Any],
) -> Settings:
    """Return the facts of a run; weights of a teacher and the space are given by their checksum."""
    run = {name: value for name, value in asdict(settings).items() if name not in FREE_SETTINGS}
    network = {
        "anchors": [anchor.name for anchor in net.family],
        "space": content_digest(net.space.to_config()),
    }
    described = {
        "net": network,
        "batches_per_epoch": len(batches),
        "optim": asdict(optim),
        "sampler": sampler.describe(),
        "loss": loss.describe(),
        "mixup": _plain_attributes(mixup),
        **others,
    }
    flat = flatten({**run, **described})
    return {
        name: item if isinstance(item, str | int | float | bool | None) else str(item) for name, item in flat.items()
    }


def _plain_attributes(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    kept = {k: v for k, v in vars(value).items() if isinstance(v, str | int | float | bool | tuple | None)}
    return {"name": type(value).__name__, **kept}
