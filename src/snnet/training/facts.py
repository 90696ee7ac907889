"""What must be equal for one run to continue another, as flat plain values."""

from collections.abc import Mapping
from typing import Any

from snnet.network import SNNet
from snnet.training.checkpoint import Settings, content_digest
from snnet.training.loss import StitchLoss
from snnet.training.samplers.samplers import StitchSampler
from snnet.training.settings import OptimSettings, RunSettings
from snnet.training.stream import Batches
from snnet.utils import flatten

FREE_SETTINGS = ("device", "sharding", "log_every", "save_every", "keep", "trackers")
"""Settings that may change between the parts of a run, for they do not change what is computed or logged."""


_PLAIN = str | int | float | bool | None


def run_facts(
    net: SNNet,
    batches: Batches,
    sampler: StitchSampler,
    run: RunSettings,
    optim: OptimSettings,
    loss: StitchLoss,
    mixup: object,
    others: Mapping[str, Any],
    *,
    warmup: int,
) -> Settings:
    """Return the facts of a run; weights of a teacher and the space are given by their checksum.

    Args:
        net: What is trained.
        batches: On what.
        sampler: Which stitches.
        run: How long, and how.
        optim: By which steps.
        loss: Towards what.
        mixup: What mixes a batch; None for nothing.
        others: What the caller adds.
        warmup: Steps over which the rate was asked to rise.
    """
    # Of the length steps count, and names are those of version 0.1.0.
    how = run.model_dump(exclude={"epochs", "threads", *FREE_SETTINGS})
    how |= {"steps": run.length(len(batches)), "clip_norm": optim.clip_norm}
    moves = optim.model_dump(exclude={"warmup_epochs", "clip_norm", *(() if net.has_head else ("head_lr_scale",))})
    moves["warmup_steps"] = warmup
    network = {
        "anchors": [anchor.name for anchor in net.family],
        "space": content_digest(net.space.to_config()),
    }
    described = {
        "net": network,
        "batches_per_epoch": len(batches),
        "optim": moves,
        "sampler": sampler.describe(),
        "loss": loss.describe(),
        "mixup": None if mixup is None else {"name": type(mixup).__name__, **_plain(vars(mixup))},
        **others,
    }
    flat = flatten({**how, **described})
    return {name: item if isinstance(item, _PLAIN) else str(item) for name, item in flat.items()}


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in attributes.items() if isinstance(item, _PLAIN | tuple)}
