# Tested in tests/export/test_export.py.
"""What a file of one stitch says of itself: enough to feed it images and to read its answers."""

import json
from dataclasses import asdict

from snnet.network import SNNet
from snnet.space import Stitch
from snnet.utils import versions


def stitch_facts(net: SNNet, stitch: Stitch, *packages: str) -> dict[str, str]:
    """Return facts by name, as texts; all but the id of the stitch are JSON.

    `snnet.input` holds size `(C, H, W)`, mean and std of the normalization, filter of the resize and share of the
    center crop; `snnet.classes` the names of the classes in the order of the logits, or null; `snnet.anchors` the names
    of the anchors; `snnet.measured` costs and scores of the stitch, as far as the network's table has them;
    `snnet.versions` those of snnet, torch, timm and the given packages.
    """
    row = next((row for row in net.table or () if row.route == stitch), None)
    values = {
        "input": asdict(net.input),
        "classes": net.classes,
        "anchors": [anchor.name for anchor in net.family],
        "measured": {} if row is None else dict(row.values),
        "versions": versions(*packages),
    }
    return {"snnet.stitch": stitch.id, **{f"snnet.{name}": json.dumps(value) for name, value in values.items()}}
