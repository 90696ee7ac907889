"""OpenVINO on the CPU: every stitch is converted and compiled once."""

from threading import local
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnet.errors import EngineError, ExportError
from snnet.export import compile_openvino, openvino_model
from snnet.network import SNNet, StitchLike, extract_step, replicate, to_plain
from snnet.runtime.engines.engine import ENGINES, Conditions, NetworkEngine, Ready
from snnet.space import Step
from snnet.utils import require

if TYPE_CHECKING:
    import openvino


class _OpenVinoReady(Ready):
    def __init__(self, compiled: "openvino.CompiledModel", nbytes: int) -> None:
        self._compiled: openvino.CompiledModel | None = compiled
        self.nbytes = nbytes
        self._own = local()

    def __call__(self, images: Tensor) -> Tensor:
        # Each thread has a request of its own, in which no other writes.
        own = self._own
        if not hasattr(own, "request"):
            compiled = self._compiled
            if compiled is None:
                raise EngineError("This stitch was closed; load it again.")
            own.request = compiled.create_infer_request()
        found: Any = own.request.infer([images.detach().contiguous().numpy()], share_inputs=True)
        return torch.from_numpy(found[0])

    def close(self) -> None:
        self._compiled, self._own, self.nbytes = None, local(), 0


@ENGINES.register("openvino")
class OpenVinoEngine(NetworkEngine):
    """Runs stitches as OpenVINO models, in fp32.

    Loading takes seconds. OpenVINO keeps weights in layouts of its own, so no two stitches share any; a stitch has
    the network's weights of when it was loaded.
    """

    name = "openvino"

    def __init__(self, net: SNNet, conditions: Conditions | None = None) -> None:
        super().__init__(net, conditions)
        require("openvino", "openvino")
        found = self.conditions
        if found.device.type != "cpu" or found.precision != "fp32":
            raise EngineError(
                f"The engine openvino runs in fp32 on the CPU, not in {found.precision} on {found.device}; give it "
                "Conditions with precision='fp32' and device='cpu', or take the engine eager."
            )
        self.replica = replicate(net, to_plain)

    def load(self, stitch: StitchLike) -> Ready:
        """Convert and compile a stitch, its batch norms folded."""
        route = self.replica.space.find(stitch)
        module = self.replica.at(route).to_module(fold_batch_norm=True, share=True)
        return self._ready(module, torch.zeros(1, *self.replica.input.size), f"stitch {route}")

    def load_step(self, step: Step, example: Tensor) -> Ready:
        """Convert and compile one step."""
        return self._ready(extract_step(self.replica, step), example, f"the step {step}")

    def _ready(self, module: nn.Module, example: Tensor, what: str) -> Ready:
        try:
            compiled = compile_openvino(openvino_model(module, example), self.conditions.threads)
        except ExportError as error:
            raise EngineError(f"The engine openvino cannot make {what} ready. {error}") from error
        return _OpenVinoReady(compiled, sum(p.numel() * p.element_size() for p in module.parameters()))
