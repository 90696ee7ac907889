"""One stitch of a network as a module, for whatever takes a module; on request with no other weights than its own."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from snnet.anchors import Anchor, BatchNorm
from snnet.errors import ExportError
from snnet.layers import StitchingLayer
from snnet.network.fold_norms import fold_batch_norms
from snnet.network.interface import Network
from snnet.network.statistics import statistics_of
from snnet.network.tree import find_call, run_calls
from snnet.space import Step, Stitch


class RouteModule(nn.Module):
    """Runs one stitch, and knows no network.

    The names of its weights are those that they have in the network, `anchors.1.model.blocks.6.mlp.fc1.weight`.
    Anchors keep their structure; what the route does not run has no weights.

    Args:
        steps: What the route runs, in order.
        anchors: The anchors of these steps, by number.
        layers: The stitching layers of these steps, by name.
        maps: What makes maps of the largest anchor's features, by number.
        head: The head over maps, if there is one.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        anchors: Mapping[int, Anchor],
        layers: Mapping[str, StitchingLayer],
        maps: Mapping[str, nn.Module] = MappingProxyType({}),
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.anchors = nn.ModuleDict({str(number): anchor for number, anchor in anchors.items()})
        self.layers = nn.ModuleDict(layers)
        if maps:
            self.maps = nn.ModuleDict(maps)
        if head is not None:
            self.head = head
        self.calls = tuple(find_call(self, step) for step in steps)

    def forward(self, images: Tensor, *more: Tensor) -> Tensor:
        """Images `(B, C, H, W)` to outputs `(B, ...)`; where it is a step of a route, what it takes to what it gives.

        Args:
            images: Images or features; the first map, if it is a head over maps.
            more: The other maps, likewise.
        """
        return run_calls(self, self.calls, images, maps=[images, *more] if self.calls[0][0].kind == "decode" else None)


class StitchModule(nn.Module):
    """Runs one stitch; the weights are the network's.

    Args:
        net: The network, called as `net(images, stitch)`.
        stitch: The stitch.
    """

    net: Network

    def __init__(self, net: Network, stitch: Stitch) -> None:
        super().__init__()
        self.net = net
        self.stitch = stitch

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, C, H, W)` to logits `(B, classes)`."""
        return self.net(images, self.stitch)

    def to_module(self, *, fold_batch_norm: bool = False, share: bool = False) -> RouteModule:
        """Return the stitch without its network: a module in evaluation mode with the weights of this route alone.

        Its weights bear the names that they have in the network's `state_dict()`. Batch norms hold the running
        statistics of this stitch, and low-rank updates of stitching layers are merged.

        Args:
            fold_batch_norm: Fold every batch norm that directly follows a convolution or a linear layer into it,
                which saves time; weights that are folded differ from the network's.
            share: Hold the network's own tensors in place of copies, wherever their values are the same.

        Raises:
            ExportError: If the route runs a block twice with different running statistics.
        """
        module, memo = _extract(self.net, self.net.steps(self.stitch), share=share)
        _write_statistics(self.net, self.stitch, memo)
        if fold_batch_norm:
            fold_batch_norms(module, self.net.input.size)
        return module


def extract_step(net: Network, step: Step, prefix: str = "") -> RouteModule:
    """Return one step as a module of its own, in evaluation mode, on the network's own tensors.

    It takes what the step before gives. Batch norms have the statistics that were measured for the beginning `prefix`
    of a route, which the step ends; without any, those that their anchor came with.
    """
    module, memo = _extract(net, (step,), share=True)
    values = net.statistics.get(prefix)
    if values is not None:
        _set_statistics(net.step_norms(step), values, memo)
    return module


def _extract(net: Network, steps: Sequence[Step], *, share: bool) -> tuple[RouteModule, dict[int, Any]]:
    """Return a module that runs these steps, and the memo that leads from originals to copies."""
    numbers = sorted({step.anchor for step in steps if step.kind not in ("stitch", "tap", "decode")})
    anchors = {number: net.anchor(number) for number in numbers}
    layers = {step.layer: net.layer_named(step.layer) for step in steps if step.layer}
    used = [parameter for step in steps for parameter in net.step_parameters(step)]
    # By this memo deepcopy copies modules and buffers, and of the parameters those of use, or none.
    copied = set() if share else {id(parameter) for parameter in used}
    head = net.head if any(step.kind == "decode" for step in steps) else None
    maps = {str(step.index): net.maps[str(step.index)] for step in steps if step.kind == "tap"}
    parts = [*anchors.values(), *layers.values(), *([] if head is None else [head])]
    memo: dict[int, Any] = {id(p): p for part in parts for p in part.parameters() if id(p) not in copied}
    copies: tuple[dict[int, Anchor], dict[str, StitchingLayer], dict[str, nn.Module], nn.Module | None] = deepcopy(
        (anchors, layers, maps, head), memo
    )
    _leave_out(copies[0].values(), {id(memo[id(parameter)]) for parameter in used})
    for number in numbers:
        if Step("stem", number) not in steps:
            copies[0][number].renormalize = nn.Identity()
    for layer in copies[1].values():
        layer.set_lora_rank(None)
    return RouteModule(steps, *copies).eval(), memo


def _leave_out(parts: Iterable[nn.Module], used: set[int]) -> None:
    """Take parameters that are not used from modules, and from modules without any of use their buffers too."""
    for module in [module for part in parts for module in part.modules()]:
        every = {id(parameter) for parameter in module.parameters()}
        for name, parameter in module._parameters.items():
            if id(parameter) not in used:
                module._parameters[name] = None
        if every and not every & used:
            for inner in module.modules():
                inner._buffers.update(dict.fromkeys(inner._buffers))


def _write_statistics(net: Network, stitch: Stitch, memo: Mapping[int, Any]) -> None:
    """Give the copies of batch norms the running statistics of their place in the route."""
    steps, prefixes = net.steps(stitch), net.prefixes(stitch)
    repeated = {step for step, times in Counter(steps).items() if times > 1}
    for step, prefix in zip(steps, prefixes, strict=True):
        values = net.statistics.get(prefix)
        if values is None:
            continue
        norms = net.step_norms(step)
        if norms and step in repeated:
            raise ExportError(
                f"Stitch {stitch} runs block {step.index} of anchor {step.anchor} twice, with running statistics of "
                "its own each time, which one module cannot have; write a bundle, choose another stitch, or drop the "
                "statistics with net.forget_statistics()."
            )
        _set_statistics(norms, values, memo)


def _set_statistics(norms: Sequence[BatchNorm], values: Tensor, memo: Mapping[int, Any]) -> None:
    for norm, (mean, variance) in zip(norms, statistics_of(norms, values), strict=True):
        memo[id(norm)].running_mean, memo[id(norm)].running_var = mean.clone(), variance.clone()
