"""Memory that a stitch needs: its weights, the images, and what lives at once while it runs."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from snnet.network import Given, SNNet
from snnet.profiling.costs import stitch_params
from snnet.runtime.engines import EagerEngine, Ready
from snnet.space import Step, Stitch

COMPUTED = "computed: parameters, images and the peak of live tensors of plain PyTorch"
MEASURED = "measured: parameters, images and the peak by torch.cuda.max_memory_allocated of plain PyTorch"


class LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the tensors that operations make inside the `with` block, until they are let go of.

    What a kernel takes for itself and gives back before it returns is not seen.

    Attributes:
        peak: Most bytes that lived at once; tensors from outside and views of them do not count.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation and note the tensors that it has made."""
        for given in _tensors(args, kwargs):
            # An output that is a view of what came from outside shares its storage with an argument.
            self._note(given, counts=False)
        output = func(*args, **(kwargs or {}))
        for made in _tensors(output):
            self._note(made, counts=True)
        self.peak = max(self.peak, sum(self._sizes.values()))
        return output

    def _note(self, tensor: Tensor, *, counts: bool) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes() if counts else 0
            weakref.finalize(storage, self._sizes.pop, key, None)


def memory_bytes(
    net: SNNet, routes: Sequence[Stitch], images: Tensor, inputs: Mapping[Step, Given], engine: EagerEngine
) -> dict[str, int]:
    """Return what each stitch needs in bytes, as plain PyTorch runs it: a fold over its steps.

    A step holds its input and what it makes on the way, and with it live the maps that were put aside before, until a
    head over them has run; of a route, the step that holds most counts. Parameters are those of the route alone, in the
    engine's precision; buffers, such as running statistics, do not count.

    Args:
        net: The network.
        routes: Stitches of it.
        images: A batch of images, on the engine's device.
        inputs: What each step is given at this batch size.
        engine: Plain PyTorch, under the conditions in question.
    """
    steps = dict.fromkeys(step for route in routes for step in net.steps(route))
    ready = {step: engine.load_step(step, inputs[step]) for step in steps}
    peaks = {step: _peak(ready[step], inputs[step]) for step in steps}
    kept = {step: _kept(ready[step], inputs[step]) for step in steps if step.kind == "tap"}
    params, width = stitch_params(net), engine.conditions.dtype.itemsize
    return {
        route.id: width * params[route.id] + images.nbytes + _peak_of_route(net.steps(route), peaks, kept, inputs)
        for route in routes
    }


def _peak_of_route(
    steps: Sequence[Step], peaks: Mapping[Step, int], kept: Mapping[Step, int], inputs: Mapping[Step, Given]
) -> int:
    """Return the most bytes that live at once beside weights and images, from those of each step beyond its input."""
    sizes: dict[int, int] = {}  # by the place of what made them
    features, aside, most = -1, set[int](), 0
    for place, step in enumerate(steps):
        given = inputs[step]
        if isinstance(given, Tensor):
            # The images stay with the caller all the way, and are counted once.
            sizes[features] = given.nbytes if step.kind != "stem" else 0
        most = max(most, sum(sizes[each] for each in {features, *aside}) + peaks[step])
        if step.kind == "tap":
            sizes[place] = kept[step]
            aside.add(place if kept[step] else features)
        else:
            features = place
    return most


def _kept(ready: Ready, given: Given) -> int:
    """Return the bytes of a map that a step puts aside; 0 if it is a view of the features, which then live on."""
    places = {each.untyped_storage().data_ptr() for each in _tensors(given)}
    storage = ready(given).untyped_storage()
    return 0 if storage.data_ptr() in places else storage.nbytes()


def _peak(ready: Ready, given: Given) -> int:
    """Return the most bytes that live at once while a step runs, beyond its input."""
    device = _tensors(given)[0].device
    if device.type != "cuda":
        live = LiveTensors()
        with live:
            ready(given)
        return live.peak
    ready(given)  # libraries keep some memory from their first call on, which is no stitch's own
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    ready(given)
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device) - before)


def _tensors(*trees: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(trees) if isinstance(leaf, Tensor)]
