"""One engine for each precision that stitches run in."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from snnet.errors import EngineError, SpaceError
from snnet.export.bundle import Bundle
from snnet.network import SNNet, StitchLike
from snnet.runtime.engines.eager import EagerEngine
from snnet.runtime.engines.engine import ENGINES, Conditions, Engine, Ready
from snnet.runtime.engines.onnxruntime import BundleEngine
from snnet.space import Stitch, as_number


def engines_for(net: SNNet | Bundle, engine: str | Engine | None, precisions: Iterable[str]) -> dict[str, Engine]:
    """Return what runs stitches in each precision; that of the network's own has the empty name.

    Args:
        net: The network, or a bundle of it.
        engine: A name in `ENGINES`, or an engine built; `eager` for a network and onnxruntime for a bundle if None.
        precisions: Those that are wanted beside the network's own.

    Raises:
        EngineError: If an engine does not run in one of them.
    """
    others = [name for name in precisions if name]
    if isinstance(engine, Engine):
        if others:
            raise EngineError(
                f"The profile has stitches in {', '.join(others)}, which an engine that was built for "
                f"{engine.conditions.precision} does not run; give the engine by its name, {engine.name!r}."
            )
        return {"": engine}
    if isinstance(net, Bundle):
        if engine not in (None, BundleEngine.name):
            known = BundleEngine.name
            raise EngineError(f"A bundle runs on {known}, and {engine} was asked for; leave the engine out.")
        # Its graphs say themselves what they compute in.
        return dict.fromkeys(["", *others], BundleEngine(net))
    kind = ENGINES.get(engine or EagerEngine.name)
    return {"": kind(net), **{name: kind(net, Conditions.of(net, precision=name)) for name in others}}


def find_in(net: SNNet | Bundle, stitch: StitchLike, engines: Mapping[str, Engine]) -> Stitch:
    """Return a stitch, in the precision that its id ends with, if any.

    Args:
        net: The network, or a bundle of it.
        stitch: Number, id or value.
        engines: What runs stitches in each precision.

    Raises:
        SpaceError: If there is no such stitch, or nothing runs in this precision.
    """
    if isinstance(net, Bundle) or as_number(stitch) is not None:
        return net.find(stitch)
    route = stitch if isinstance(stitch, Stitch) else Stitch(str(stitch))
    if route.precision not in engines:
        known = ", ".join(name for name in engines if name) or "only the network's own"
        raise SpaceError(f"Nothing runs {route} in {route.precision}; precisions there are: {known}.")
    return Stitch(net.find(route.plain).segments, route.precision)


def load_as(conditions: Conditions, engines: Mapping[str, Engine], stitch: Stitch) -> Ready:
    """Return a stitch ready to run on images of certain conditions, whatever it computes in.

    Args:
        conditions: Type of the images and the logits.
        engines: What runs stitches in each precision.
        stitch: With its precision.
    """
    engine = engines[stitch.precision]
    ready = engine.load(stitch if isinstance(engine, BundleEngine) else stitch.plain)
    dtype = engine.conditions.dtype
    return ready if dtype == conditions.dtype else _Cast(ready, dtype)


class _Cast(Ready):
    """Runs in another type than that of the images."""

    def __init__(self, ready: Ready, dtype: torch.dtype) -> None:
        self._ready, self._dtype, self.nbytes = ready, dtype, ready.nbytes

    def __call__(self, images: Tensor) -> Tensor:
        return self._ready(images.to(self._dtype)).to(images.dtype)

    def serves(self, images: Tensor) -> bool:
        return self._ready.serves(images.to(self._dtype))

    def prepare(self, images: Tensor) -> None:
        self._ready.prepare(images.to(self._dtype))

    def close(self) -> None:
        self._ready.close()
        self.nbytes = self._ready.nbytes
