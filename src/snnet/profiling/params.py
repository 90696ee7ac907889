"""Parameters of steps, stitches and networks; a tensor that several places share counts once."""

from snnet.layers import LowRankLinear
from snnet.network import SNNet
from snnet.space import Step


def step_params(net: SNNet) -> dict[Step, int]:
    """Count the parameters of each step that some stitch of `net` takes."""
    return {step: sum(sizes.values()) for step, sizes in _step_sizes(net).items()}


def stitch_params(net: SNNet) -> dict[str, int]:
    """Count, for each stitch id, the parameters of everything that the route runs.

    The stem with class token and position embedding, blocks, stitching layers, the last anchor's norm and head.
    Low-rank updates of stitching layers count as merged.
    """
    sizes = _step_sizes(net)
    totals = {}
    for stitch in net.space:
        route: dict[int, int] = {}
        for step in net.steps(stitch):
            route.update(sizes[step])
        totals[stitch.id] = sum(route.values())
    return totals


def network_params(net: SNNet) -> int:
    """Count the parameters of the whole network as it is: all anchors and all stitching layers with their updates."""
    parameters = [*net.anchors.parameters(), *net.layers.parameters()]
    return sum({id(parameter): parameter.numel() for parameter in parameters}.values())


def _step_sizes(net: SNNet) -> dict[Step, dict[int, int]]:
    """Return for each step its tensors, as identity -> number of elements."""
    steps = dict.fromkeys(step for stitch in net.space for step in net.steps(stitch))
    merged = {id(p) for part in net.layers.modules() if isinstance(part, LowRankLinear) for p in (part.up, part.down)}
    return {step: {id(p): p.numel() for p in net.step_parameters(step) if id(p) not in merged} for step in steps}
