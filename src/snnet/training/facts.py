"""What must be equal for one run to continue another, as flat plain values."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from snnet.network import SNNet
from snnet.training.checkpoint import Settings, content_digest
from snnet.training.loss import StitchLoss
from snnet.training.optim import OptimSettings
from snnet.training.sampler import StitchSampler
from snnet.training.settings import TrainSettings
from snnet.training.stream import Batches

_FREE = ("device", "log_every", "save_every", "keep", "trackers")
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
    run = {name: value for name, value in asdict(settings).items() if name not in _FREE}
    network = {
        "anchors": [anchor.name for anchor in map(net.anchor, range(len(net.anchors)))],
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
    return _flatten({**run, **described})


def _plain_attributes(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    kept = {k: v for k, v in vars(value).items() if isinstance(v, str | int | float | bool | tuple | None)}
    return {"name": type(value).__name__, **kept}


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool | None]:
    flat: dict[str, str | int | float | bool | None] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            flat |= _flatten(item, f"{prefix}{name}.")
        else:
            flat[prefix + name] = item if isinstance(item, str | int | float | bool | None) else str(item)
    return flat
