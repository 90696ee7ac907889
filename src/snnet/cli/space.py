"""`snnet space`: list the stitches of a family."""

from collections.abc import Sequence
from typing import Any

from snnet.cli.console import show, show_json, show_table
from snnet.cli.options import USUAL_FAMILY, FamilyOptions, Json
from snnet.cli.sources import space_of
from snnet.space import Stitch


def space(
    *anchors: str,
    options: FamilyOptions = USUAL_FAMILY,
    json: Json = False,
) -> None:
    """List the stitches of a family: number, id, and blocks per anchor. No weights are loaded.

    Args:
        anchors: timm names, cheapest first or not; or block counts such as 12, or 2-2-6-2 for stages; or one network,
            the directory of a saved one, or FAMILY@FILE for a published one.

    Examples:
        snnet space deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224
        snnet space 12 12 12 --kernel-size 3 --stride 3 --json
    """
    found, names = space_of(anchors, **options.given())
    if json:
        rows = [_row(number, stitch, len(names)) for number, stitch in enumerate(found)]
        depths = [list(stages_) for stages_ in found.depths]
        show_json({"anchors": names, "depths": depths, "count": len(found), "stitches": rows})
        return
    headings = ["#", "stitch", *(f"[{number}]" for number in range(len(names)))]
    rows = [_row(number, stitch, len(names)) for number, stitch in enumerate(found)]
    show_table(headings, ([str(row["index"]), row["stitch"], *map(_dash, row["blocks"])] for row in rows))
    show("Blocks of " + ", ".join(f"[{number}] {name}" for number, name in enumerate(names)))
    show(f"{len(found)} stitches, {len(found.layers)} stitching layers")


def _row(number: int, stitch: Stitch, anchors: int) -> dict[str, Any]:
    return {"index": number, "stitch": str(stitch), "blocks": blocks_per_anchor(stitch, anchors)}


def blocks_per_anchor(stitch: Stitch, anchors: int) -> Sequence[int]:
    """Return how many blocks of each anchor a stitch runs."""
    return [sum(len(part) for part in stitch.segments if part.anchor == number) for number in range(anchors)]


def _dash(blocks: int) -> str:
    return str(blocks) if blocks else "·"
