"""A replica made for running, and its steps bound to their modules: nothing is looked up while images wait."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from snnet.network import SNNet, StitchLike, UsingStatistics, replicate
from snnet.runtime.engines.conditions import Conditions
from snnet.space import Step


def serving_replica(net: SNNet, conditions: Conditions) -> SNNet:
    """Return a replica on a device for inference: tensors shared where they fit as they are, low-rank layers merged."""

    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(conditions.device, conditions.dtype if tensor.is_floating_point() else tensor.dtype)

    return replicate(net, convert).set_lora_rank(None)


class BoundStep(nn.Module):
    """One step of a route as a module, whose parameters are those that the step uses (a stem: of its whole anchor).

    Args:
        net: The network, in evaluation mode.
        step: One of `net.steps(stitch)`.
        values: Running statistics that its batch norms use in place of their own, flat; None for their own.
    """

    def __init__(self, net: SNNet, step: Step, values: Tensor | None = None) -> None:
        super().__init__()
        self.step = step
        self.values = values
        # Kept from becoming a part: the step's own modules are all that is to be found here.
        self._network = (net,)
        self.parts = nn.ModuleList(_modules(net, step))

    def forward(self, features: Tensor, values: Tensor | None = None) -> Tensor:
        """Run the step, with its own statistics or those given."""
        (net,) = self._network
        values = self.values if values is None else values
        if values is None:
            return net.apply_step(self.step, features)
        with UsingStatistics(net.step_norms(self.step), values):
            return net.apply_step(self.step, features)


def bind(net: SNNet, step: Step, values: Tensor | None = None) -> list[Callable[[Tensor], Tensor]]:
    """Return what a step runs, one after another: modules themselves where they are all there is to it."""
    chain = net.step_chain(step) if values is None else None
    return [BoundStep(net, step, values)] if chain is None else list(chain)


def bind_stitch(net: SNNet, stitch: StitchLike) -> list[Callable[[Tensor], Tensor]]:
    """Return what a whole route runs, one after another."""
    pairs = zip(net.steps(stitch), net.prefixes(stitch), strict=True)
    return [part for step, prefix in pairs for part in bind(net, step, net.statistics.get(prefix))]


def run_parts(parts: Iterable[Callable[[Tensor], Tensor]], features: Tensor) -> Tensor:
    """Run one part after another, without gradients."""
    with torch.inference_mode():
        for part in parts:
            features = part(features)
    return features


def _modules(net: SNNet, step: Step) -> Iterable[nn.Module]:
    if step.kind == "stitch":
        return [net.layers[step.layer]]
    anchor = net.anchor(step.anchor)
    if step.kind == "block":
        return anchor.block_modules(step.index)
    # Class token and position embedding belong to no module of their own.
    return [anchor] if step.kind == "stem" else anchor.head_modules()
