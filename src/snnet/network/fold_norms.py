"""Batch norms folded into the convolution or linear layer right before them: the same function with less to run."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv1d, conv2d, conv3d, linear
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights
from torch.overrides import TorchFunctionMode

from snnet.anchors import BatchNorm, batch_norms
from snnet.utils import evaluating

Maker: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
_MAKERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_PRODUCTS = (conv1d, conv2d, conv3d, linear)


def fold_batch_norms(module: nn.Module, size: tuple[int, int, int]) -> int:
    """Fold batch norms of a module, in place, and return how many were folded.

    Which follows which is seen on a forward pass. A batch norm is folded if it receives exactly what one layer gives
    (of a linear layer also with the first axes joined), nobody else receives that, and both run once.

    The module is in evaluation mode and takes images of `size`, `(C, H, W)`.
    """
    first = next(module.parameters())
    with evaluating(module), torch.no_grad(), _Watching(module) as watching:
        module(torch.zeros(1, *size, device=first.device, dtype=first.dtype))
    pairs = watching.pairs()
    for maker, norm in pairs:
        _fold(maker, norm)
    _replace(module, {norm for _, norm in pairs})
    return len(pairs)


class _Watching(TorchFunctionMode):
    """While entered, sees which layer gave what a batch norm receives."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.makers = {m.weight: m for m in module.modules() if isinstance(m, _MAKERS) and m.weight is not None}
        self.norms = {norm.running_mean: norm for norm in batch_norms([module])}
        self.made: dict[Tensor, Maker] = {}
        self.seen: list[tuple[Maker, BatchNorm]] = []
        self.calls: Counter[nn.Module] = Counter()
        self.readers: Counter[Maker] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run every call of torch as it is."""
        output = func(*args, **(kwargs or {}))
        # Whoever asks for the shape alone, and gets no tensor, does not use the values.
        if any(True for _ in _tensors([output])):
            values = args[:1] if func is Tensor.reshape_as else (*args, *(kwargs or {}).values())
            read = [self.made[value] for value in _tensors(values) if value in self.made]
            self._note(func, args, kwargs or {}, read, output)
        return output

    def _note(self, func: Any, args: Any, kwargs: Any, read: list[Maker], output: Any) -> None:
        weight = args[1] if func in _PRODUCTS and len(args) > 1 else kwargs.get("weight")
        if func in _PRODUCTS and weight in self.makers:
            self.made[output] = maker = self.makers[weight]
            self.calls[maker] += 1
        elif func is Tensor.flatten and args[1:] == (0, 1) and read and isinstance(read[0], nn.Linear):
            # The channels stay last: to normalize the rows is to normalize the layer's output.
            self.made[output] = read.pop()
        elif func is batch_norm and args[1] in self.norms:
            norm = self.norms[args[1]]
            self.calls[norm] += 1
            self.seen += [(maker, norm) for maker in read if args[0].ndim == 2 or not isinstance(maker, nn.Linear)]
        self.readers.update(read)

    def pairs(self) -> list[tuple[Maker, BatchNorm]]:
        """Return the layers and batch norms that have nobody but each other."""
        alone = (1, 1, 1)
        return [(m, n) for m, n in self.seen if (self.calls[m], self.calls[n], self.readers[m]) == alone]


def _tensors(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _fold(maker: Maker, norm: BatchNorm) -> None:
    """Give a layer the weight and bias by which it does what the norm did after it."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = torch.ones_like(mean) if norm.weight is None else norm.weight
    shift = torch.zeros_like(mean) if norm.bias is None else norm.bias
    fuse: Any = fuse_linear_bn_weights if isinstance(maker, nn.Linear) else fuse_conv_bn_weights
    maker.weight, maker.bias = fuse(maker.weight, maker.bias, mean, variance, norm.eps, scale, shift)


def _replace(module: nn.Module, folded: set[BatchNorm]) -> None:
    """Put what a norm does besides normalizing in its place: timm's drop and activate."""
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, BatchNorm) and child in folded:
                rest = [part for kind, part in child.named_children() if kind in ("drop", "act")]
                setattr(parent, name, nn.Sequential(*rest) if rest else nn.Identity())
