"""`snnet cost`: MACs and parameters of every stitch."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from snnet.cli.console import show, show_json
from snnet.cli.sources import given, network_shape
from snnet.cli.tables import show_rows, table_json
from snnet.cli.values import Classes, Json, human
from snnet.space.chains import Direction

cost = App(
    name="cost",
    help_epilogue="""Examples:

    snnet cost deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224
    snnet cost runs/deit --output costs.jsonl
""",
)


@cost.default
def count_costs(
    *sources: str,
    kernel_size: int | None = None,
    stride: int | None = None,
    nearest: bool | None = None,
    direction: Direction | None = None,
    stages: Annotated[tuple[int, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    num_classes: Classes = None,
    output: Path | None = None,
    json: Json = False,
) -> None:
    """Count the multiply-adds (batch 1) and parameters of every stitch, without running anything.

    Args:
        sources: Two or more anchors (timm names), or the directory of a saved network.
        kernel_size: Blocks in a sliding window of paired stitching (2).
        stride: Blocks by which the window moves (1).
        nearest: Join only neighboring anchors (the default), or every subset of two or more.
        direction: fast-to-slow (the default), slow-to-fast, or both.
        stages: Stages to stitch, such as 0 1 2; the family's usual ones by default.
        output: Write the table to this file too, as JSON Lines.
    """
    settings = given(kernel_size=kernel_size, stride=stride, nearest=nearest, direction=direction, stages=stages)
    net = network_shape(sources, num_classes, **settings)
    from snnet.cost import network_params, profile

    table = profile(net)
    if output is not None:
        table.save(output)
    if json:
        show_json({**table_json(table), "params": network_params(net)})
        return
    show_rows(table)
    show(f"{len(table)} stitches; {human(network_params(net), 4)} parameters for the whole network")
    if output is not None:
        show(f"Written to {output}")
