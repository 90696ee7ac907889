"""`snnet space`: list the stitches of a family."""

from snnet.cli.console import show, show_json, show_table
from snnet.cli.options import USUAL_FAMILY, FamilyOptions, Json
from snnet.cli.sources import space_of


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
    runs = [[sum(len(p) for p in stitch.segments if p.anchor == n) for n in range(len(names))] for stitch in found]
    if json:
        rows = [{"index": n, "stitch": str(s), "blocks": b} for n, (s, b) in enumerate(zip(found, runs, strict=True))]
        depths = [list(stages) for stages in found.depths]
        show_json({"anchors": names, "depths": depths, "count": len(found), "stitches": rows})
        return
    headings = ["#", "stitch", *(f"[{number}]" for number in range(len(names)))]
    cells = (
        [str(number), str(stitch), *(str(count or "·") for count in blocks)]
        for number, (stitch, blocks) in enumerate(zip(found, runs, strict=True))
    )
    show_table(headings, cells)
    show("Blocks of " + ", ".join(f"[{number}] {name}" for number, name in enumerate(names)))
    show(found.counts)
