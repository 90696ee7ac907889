"""A second body for a network: other tensors or another mode, the user's own module untouched."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from snnet.network.network import SNNet


def replicate(net: SNNet, convert: Callable[[Tensor], Tensor]) -> SNNet:
    """Return a copy of `net` in evaluation mode whose parameters and buffers are `convert` of the originals.

    Only the modules are copied: a tensor that `convert` returns as it is stays shared, so a replica on the
    same device costs no memory. Tensors that modules share stay shared. Space and table are not copied.
    """
    # deepcopy takes what the memo holds for the copy and so never reaches the tensors themselves.
    facts = vars(net).keys() - vars(nn.Module()).keys()
    memo: dict[int, object] = {id(getattr(net, name)): getattr(net, name) for name in facts}
    for parameter in net.parameters():
        memo[id(parameter)] = nn.Parameter(convert(parameter.detach()), requires_grad=False)
    for buffer in net.buffers():
        memo[id(buffer)] = convert(buffer)
    return deepcopy(net, memo).eval()


def to_plain(tensor: Tensor) -> Tensor:
    """Return a tensor on the CPU, numbers in float32."""
    return tensor.to("cpu", torch.float32) if tensor.is_floating_point() else tensor.cpu()
