"""`snnet cost`: MACs and parameters of every stitch."""

from pathlib import Path

from snnet.cli.console import show, show_json, show_rows, table_json
from snnet.cli.options import USUAL_FAMILY, FamilyOptions, Json, writable
from snnet.cli.sources import network_shape
from snnet.utils import counted, human


def cost(
    *sources: str,
    options: FamilyOptions = USUAL_FAMILY,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """Count the multiply-adds (batch 1) and parameters of every stitch, without running anything.

    Args:
        sources: Two or more anchors (timm names), or one network: the directory of a saved one, or FAMILY@FILE for a
            published one.
        output: Write the table to this file too, as JSON Lines.

    Examples:
        snnet cost deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224
        snnet cost runs/deit --output costs.jsonl
    """
    if output is not None:
        writable(output, is_file=True)
    net = network_shape(sources, **options.given())
    from snnet.profiling import count_costs, network_params

    table = count_costs(net)
    if output is not None:
        table.save(output)
    if json:
        show_json({**table_json(table), "params": network_params(net)})
        return
    show_rows(table)
    show(f"{counted(len(table), 'stitch')}; {human(network_params(net), 4)} parameters for the whole network")
    if output is not None:
        show(f"Written to {output}")
