"""Plain PyTorch: every stitch is ready as soon as it is named."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from snnet.network import SNNet, StitchLike
from snnet.runtime.engines.conditions import Conditions
from snnet.runtime.engines.engine import ENGINES, NetworkEngine, Ready
from snnet.runtime.engines.faster import serving_replica, use_channels_last, use_onednn
from snnet.space import Step


class _Eager(Ready):
    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        self.run = run

    def __call__(self, images: Tensor) -> Tensor:
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

    def __init__(self, net: SNNet, conditions: Conditions | None = None) -> None:
        super().__init__(net, conditions)
        self.replica = serving_replica(net, self.conditions)
        use_onednn(self.replica)
        use_channels_last(self.replica)

    def load(self, stitch: StitchLike) -> Ready:
        """Return the stitch; this takes no time."""
        return _Eager(self.replica.at(stitch))

    def load_step(self, step: Step, example: Tensor) -> Ready:  # noqa: ARG002
        """Return the step; this takes no time."""
        return _Eager(partial(self.replica.run_step, step))
