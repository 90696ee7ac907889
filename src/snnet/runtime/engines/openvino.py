"""OpenVINO on the CPU: every stitch is converted and compiled once."""

from threading import local
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnet.errors import EngineError, ExportError
from snnet.export import compile_openvino, openvino_model
from snnet.network import Given, SNNet, StitchLike, extract_step, replicate, to_plain
from snnet.runtime.engines.engine import ENGINES, Conditions, NetworkEngine, Ready
from snnet.runtime.engines.lowered import several
from snnet.space import Step
from snnet.utils import require

if TYPE_CHECKING:
    import openvino


class _OpenVinoReady(Ready):
    def __init__(self, compiled: "openvino.CompiledModel", nbytes: int) -> None:
        self._compiled: openvino.CompiledModel | None = compiled
        self.nbytes = nbytes
        self._own = local()

    def __call__(self, images: Given) -> Tensor:
        # Each thread has a request of its own, in which no other writes.
        own = self._own
        if not hasattr(own, "request"):
            compiled = self._compiled
            if compiled is None:
                raise EngineError("This stitch was closed; load it again.")
            own.request = compiled.create_infer_request()
        # Numbers come and go as float32, whatever it computes in.
        given = several(images)
        arrays = [each.detach().float().contiguous().numpy() for each in given]
        found: Any = own.request.infer(arrays, share_inputs=True)
        return torch.from_numpy(found[0]).to(given[0].dtype)

    def close(self) -> None:
        self._compiled, self._own, self.nbytes = None, local(), 0


@ENGINES.register("openvino")
class OpenVinoEngine(NetworkEngine):
    """Runs stitches as OpenVINO models, in fp32, or in bf16 where the CPU does (avx512_bf16, AMX).

    Loading takes seconds. OpenVINO keeps weights in layouts of its own, so no two stitches share any; a stitch has
    the network's weights of when it was loaded.
    """

    name = "openvino"

    def __init__(self, net: SNNet, conditions: Conditions | None = None) -> None:
        super().__init__(net, conditions)
        require("openvino", "openvino")
        found = self.conditions
        if found.device.type != "cpu" or found.precision not in ("fp32", "bf16"):
            raise EngineError(
                f"The engine openvino runs in fp32 and bf16 on the CPU, not in {found.precision} on {found.device}; "
                "give it Conditions with precision='fp32' and device='cpu', or take the engine eager."
            )
        if found.precision == "bf16" and "BF16" not in _capabilities():
            raise EngineError("OpenVINO would run in fp32 here, for this CPU has no bf16; take precision='fp32'.")
        self.replica = replicate(net, to_plain)

    def load(self, stitch: StitchLike) -> Ready:
        """Convert and compile a stitch, its batch norms folded."""
        route = self.replica.space.find(stitch)
        module = self.replica.at(route).to_module(fold_batch_norm=True, share=True)
        return self._ready(module, torch.zeros(1, *self.replica.input.size), f"stitch {route}")

    def load_step(self, step: Step, example: Given) -> Ready:
        """Convert and compile one step."""
        return self._ready(extract_step(self.replica, step), example, f"the step {step}")

    def _ready(self, module: nn.Module, example: Given, what: str) -> Ready:
        try:
            given = tuple(each.float() for each in example) if isinstance(example, tuple) else example.float()
            model = openvino_model(module, given)
            compiled = compile_openvino(model, self.conditions.threads, self.conditions.precision)
        except ExportError as error:
            raise EngineError(f"The engine openvino cannot make {what} ready. {error}") from error
        return _OpenVinoReady(compiled, sum(p.numel() * p.element_size() for p in module.parameters()))


def _capabilities() -> Any:
    return require("openvino", "openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
