"""What a file of one stitch says of itself: enough to feed it images and to read its answers."""

import json
from dataclasses import asdict
from importlib.metadata import version

import torch

from snnet.network import SNNet
from snnet.route import Stitch


def stitch_facts(net: SNNet, stitch: Stitch) -> dict[str, str]:
    """Return facts by name, as texts; all but the ids and versions are JSON.

    `snnet.input` holds size `(C, H, W)`, mean and std of the normalization, filter of the resize and share of the
    center crop; `snnet.classes` the names of the classes in the order of the logits, or null; `snnet.measured` costs
    and scores of the stitch, as far as the network's table has them.
    """
    row = next((row for row in net.table or () if row.route == stitch), None)
    values = {
        "input": asdict(net.input),
        "classes": net.classes,
        "anchors": [anchor.name for anchor in net.family],
        "measured": {} if row is None else dict(row.values),
    }
    texts = {f"snnet.{name}": json.dumps(value) for name, value in values.items()}
    return {"snnet.stitch": stitch.id, **texts, "snnet.version": version("snnet"), "torch.version": torch.__version__}
