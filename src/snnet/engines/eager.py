"""Plain PyTorch: every stitch is ready as soon as it is named."""

import torch
from torch import Tensor

from snnet.engines.conditions import Conditions
from snnet.engines.engine import ENGINES, Engine, Ready
from snnet.network import SNNet, StitchLike
from snnet.replica import replicate
from snnet.route import Stitch
from snnet.steps import Step


class _EagerStitch(Ready):
    def __init__(self, net: SNNet, stitch: Stitch) -> None:
        self.net, self.stitch = net, stitch

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images, self.stitch)
        return logits


class _EagerStep(Ready):
    def __init__(self, net: SNNet, step: Step) -> None:
        self.net, self.step = net, step

    @torch.inference_mode()
    def __call__(self, features: Tensor) -> Tensor:
        return self.net.apply_step(self.step, features)


@ENGINES.register("eager")
class EagerEngine(Engine):
    """Runs the network's own modules, in evaluation and inference mode.

    Where device and type of number are the network's own, the weights are the very same tensors.
    """

    name = "eager"

    def __init__(self, net: SNNet, conditions: Conditions | None = None) -> None:
        super().__init__(net, conditions)
        self.replica = replicate(net, self._convert)

    def load(self, stitch: StitchLike) -> Ready:
        """Return the stitch; this takes no time."""
        return _EagerStitch(self.replica, self.replica.space.find(stitch))

    def load_step(self, step: Step, example: Tensor) -> Ready:  # noqa: ARG002
        """Return the step; this takes no time."""
        return _EagerStep(self.replica, step)

    def _convert(self, tensor: Tensor) -> Tensor:
        dtype = self.conditions.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(self.conditions.device, dtype)
