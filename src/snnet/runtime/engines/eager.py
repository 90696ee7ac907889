"""Plain PyTorch, where every stitch is ready as soon as it is named, and what makes a replica faster on a CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snnet.network import Given, SNNet, StitchLike, replicate
from snnet.runtime.engines.engine import ENGINES, Conditions, NetworkEngine, Ready
from snnet.space import Step
from snnet.utils import SMALLEST, fast_product, has_fast_linear


class _Eager(Ready):
    def __init__(self, run: Callable[[Any], Tensor]) -> None:
        self.run = run

    def __call__(self, images: Given) -> Tensor:
        with torch.inference_mode():
            return self.run(images)


@ENGINES.register("eager")
class EagerEngine(NetworkEngine):
    """Runs the network's own modules, in evaluation and inference mode.

    Where device and precision are the network's own, the weights are the very same tensors, but for kernels of
    convolutions that a CPU wants laid out otherwise. Linear layers run through oneDNN on an x86 CPU. Attention is
    the fused one of PyTorch wherever the model leaves it on, which is timm's default.
    """

    name = "eager"
    builds = False

    def __init__(self, net: SNNet, conditions: Conditions | None = None) -> None:
        super().__init__(net, conditions)
        self.replica = serving_replica(net, self.conditions)
        use_onednn(self.replica)
        use_channels_last(self.replica)

    def load(self, stitch: StitchLike) -> Ready:
        """Return the stitch; this takes no time."""
        return _Eager(self.replica.at(stitch))

    def load_step(self, step: Step, example: Given) -> Ready:  # noqa: ARG002
        """Return the step; this takes no time."""
        return _Eager(partial(self.replica.run_step, step))


@torch.library.custom_op("snnet::onednn_linear", mutates_args=())
def onednn_linear(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what `fast_product` does, as one operation.

    A compiler leaves it whole; of what is within, it would take the weights to be constants that it may copy.
    """
    return fast_product(rows, weight, bias)


@onednn_linear.register_fake
def _(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: ARG001
    return rows.new_empty((*rows.shape[:-1], weight.shape[0]))


class OneDnnLinear(nn.Linear):
    """A linear layer that runs through oneDNN and not through MKL, see `snnet.utils.onednn`."""

    @classmethod
    def like(cls, layer: nn.Linear) -> "OneDnnLinear":
        """Return such a layer with the very parameters of another."""
        made = cls(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
        made.weight, made.bias = layer.weight, layer.bias
        return made.eval()

    def forward(self, input: Tensor) -> Tensor:
        """Map `(..., in_features)` to `(..., out_features)`."""
        if not torch.compiler.is_exporting():
            return fast_product(input, self.weight, self.bias)
        result: Tensor = onednn_linear(input, self.weight, self.bias)
        return result


def serving_replica(net: SNNet, conditions: Conditions) -> SNNet:
    """Return a replica on a device for inference: tensors shared where they fit as they are, low-rank layers merged."""

    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(conditions.device, conditions.dtype if tensor.is_floating_point() else tensor.dtype)

    return replicate(net, convert).set_lora_rank(None)


def use_onednn(net: SNNet) -> None:
    """Replace the large linear layers of a float32 replica on an x86 CPU; their weights stay where they are."""
    first = next(net.parameters())
    if first.dtype != torch.float32 or not has_fast_linear(first.device):
        return
    made: dict[nn.Module, nn.Module] = {}
    for name, module in list(net.named_modules(remove_duplicate=False)):
        # Exactly this class: what others do besides is theirs.
        if type(module) is nn.Linear and module.weight.numel() >= SMALLEST:
            if module not in made:
                made[module] = OneDnnLinear.like(module)
            net.set_submodule(name, made[module])


def use_channels_last(net: SNNet) -> None:
    """Lay the weights of convolutional anchors of a replica out as CPUs like them: channels last.

    Their features follow, so images may come as they are. Kernels of 1x1 stay shared with the original, others are
    copied. Anchors that flatten their images into tokens gain nothing and are left alone.
    """
    if next(net.parameters()).device.type != "cpu":
        return
    for anchor in net.family:
        if anchor.feature(-1).layout == "NCHW":
            anchor.to(memory_format=torch.channels_last)
