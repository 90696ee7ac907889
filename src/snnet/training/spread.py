"""Training in several processes: losses and gradients summed, and networks divided over the processes (FSDP2).

Gradients are summed after the last backward pass of a step, many at a time, and not by `DistributedDataParallel`: that
wants to know beforehand which parameters a step uses, sends gradients at every backward pass of a step with several
stitches, and sends zeros for every parameter outside the route. The price is that nothing is sent while the backward
pass still runs.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map_only

from snnet.anchors import BatchNorm
from snnet.network import SNNet
from snnet.utils import share, sum_numbers, sum_tensors


def sum_over_processes(parameters: Iterable[nn.Parameter], losses: Sequence[float]) -> list[float]:
    """Sum losses and gradients; return the summed losses.

    A parameter that no process used keeps no gradient, so that neither decay nor momentum moves it; where some did,
    the others count as zeros. If a loss is not finite the gradients are left alone, in all processes.

    Args:
        parameters: The same in every process, in the same order.
        losses: Weighted, so that their sums mean something; as many in every process.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    used = [float(parameter.grad is not None) for parameter in trained]
    sums = sum_numbers([*losses, *used])
    summed, users = sums[: len(losses)], sums[len(losses) :]
    if all(map(math.isfinite, summed)):
        _sum_gradients([parameter for parameter, count in zip(trained, users, strict=True) if count])
    return summed


def _sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    for parameter, gradient in zip(parameters, sum_tensors(own), strict=True):
        parameter.grad = gradient


def average_statistics(norms: Iterable[BatchNorm]) -> None:
    """Give all processes the mean of their running statistics.

    The update of running statistics is linear in them, so it does not matter how often this is done.
    """
    count = share().count
    own = [part for norm in norms for part in (norm.running_mean, norm.running_var) if part is not None]
    if count > 1:
        for statistic, total in zip(own, sum_tensors(own), strict=True):
            statistic.copy_(total / count)


def shard(net: SNNet, device: torch.device) -> SNNet:
    """Divide a network over all processes, in place, and return it.

    Each block and each stitching layer is gathered when a route comes to it; stems and heads are gathered together for
    the whole pass. What a route does not run is never gathered.
    """
    mesh = init_device_mesh(device.type, (share().count,))
    for module in _units(net):
        fully_shard(module, mesh=mesh)
    fully_shard(net, mesh=mesh)
    return net


def _units(net: SNNet) -> Iterator[nn.Module]:
    """Yield blocks and stitching layers; a module that several blocks share stays with the rest."""
    anchors = [net.anchor(number) for number in range(len(net.anchors))]
    blocks = [module for anchor in anchors for index in range(anchor.depth) for module in anchor.block_modules(index)]
    uses = Counter(id(parameter) for module in blocks for parameter in module.parameters())
    for module in (*blocks, *net.layers.values()):
        if any(True for _ in module.parameters()) and all(uses[id(p)] <= 1 for p in module.parameters()):
            yield module


def gathered(value: Any, *, keep: bool = True) -> Any:
    """Return nested values with every divided tensor whole, on the CPU; all processes must call this.

    One tensor after the other: `torch.distributed.checkpoint` keeps all of them on the GPU where all processes want
    them, and makes optimizer state for parameters that no route has used.

    Args:
        value: Dicts and sequences of tensors and plain values.
        keep: Whether this process wants the tensors; elsewhere they are None.
    """

    def whole(tensor: Tensor) -> Tensor | None:
        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        return full.cpu() if keep else None

    return tree_map_only(Tensor, whole, value)


def load_whole(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load whole tensors into a module that may be divided."""
    own = module.state_dict()
    module.load_state_dict({name: _like(value, own[name]) for name, value in state.items()})


def divided_state(optimizer: Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole state of an optimizer with its tensors divided as the parameters that they belong to."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    owner = dict(zip(numbers, parameters, strict=True))
    divided = {
        number: {name: _like(value, owner[number]) for name, value in kept.items()}
        for number, kept in state["state"].items()
    }
    return {**state, "state": divided}


def _like(value: Any, example: Tensor) -> Any:
    # An optimizer counts the steps of each parameter in a tensor without axes.
    if not (isinstance(example, DTensor) and isinstance(value, Tensor) and value.shape == example.shape):
        return value
    # Every process has the whole tensor, so that nothing needs to be sent.
    return distribute_tensor(value.to(example.device), example.device_mesh, example.placements, src_data_rank=None)
