"""A recipe of seconds, for the tests of this room."""

from typing import Any

from snnet.recipes import Parts, Recipe, build_parts

SMALL: dict[str, Any] = {
    # A search takes longer than all else.
    "recipe": "windows",
    "network.anchors": ["vit_fm_tiny", "vit_fm_small"],
    "network.pretrained": False,
    "calibration.images": 8,
    "data.batch_size": 8,
    "run.steps": 2,
    "optim.warmup_epochs": 0,
    "evaluation.images": 16,
    "evaluation.stitches": "anchors",
    "run.trackers": [],
    # Two threads spin while they wait for a core, which other tests have.
    "run.threads": 1,
    "optim.freeze": "nothing",
    # The default draws by scores, which take a while; those that need no scores first are enough here.
    "sampler.name": "anchor-share",
}


def build(**changes: Any) -> Parts:
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    return build_parts(Recipe.load("embedded_vit", {**SMALL, **changes}))


NEED = {"sampler__name": "weighted", "sampler__options": {"by": "need"}, "sampler__images": 8}
