"""Nothing but the tensors of a file that may hold arbitrary Python objects beside them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors.torch import load_file
from torch import Tensor

from snnet.anchors.states import check_archive, listed
from snnet.errors import CheckpointError

STATES = ("model", "state_dict")
"""Under which names checkpoints hold the state of the model, in the order in which they are looked for."""
_PREFIX = "module."
_SAFE_GLOBALS = Lock()
"""torch keeps one list of safe names for the whole process."""


class _Inert:
    """What an unknown function returned: it takes any state and forgets it."""

    def __setstate__(self, _: Any) -> None:
        """Forget the state."""


class _StandInType(type):
    """Makes a call of the stand-in, as for what an unknown function returned, differ from a new, unfilled object."""

    def __call__(cls, *args: Any, **_: Any) -> Any:
        # A dict of a kind of its own is made from nothing, or from the class of its values, and filled afterwards.
        return Counter() if all(arg is cls for arg in args) else _Inert()


class _StandIn(metaclass=_StandInType):
    """Takes the place of every class and function that torch does not know to be safe, and does nothing.

    Its objects are of the one type that torch's unpickler lets a file fill with items as well as with attributes,
    so that they stand in for subclasses of dict, such as configurations, and for plain objects.
    """

    def __new__(cls, *_: Any) -> Any:
        return Counter()


def read_tensors(path: str | Path, names: Sequence[str] = STATES) -> dict[str, Tensor]:
    """Read the state dict of a training script's checkpoint without running anything that the file says.

    The state may stand under one of some names or be the whole file, each of its own names with `module.` before it or
    not. torch's restricted unpickler reads the file; objects of other kinds beside the tensors, such as the
    arguments of the script, become empty stand-ins.

    Args:
        path: The file, `.safetensors` or what `torch.save` wrote.
        names: Where the state is looked for, in this order.

    Raises:
        CheckpointError: If there is no such file, it cannot be read safely, or it holds no state dict.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"There is no checkpoint at {file}; give a .safetensors or .pth file.")
    state = _find_state(_load(file), file, names)
    others = [repr(name) for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        raise CheckpointError(f"{file} holds no state dict: what is no tensor in it: {listed(others)}.")
    if all(name.startswith(_PREFIX) for name in state):
        return {name.removeprefix(_PREFIX): tensor for name, tensor in state.items()}
    return dict(state)


def _find_state(content: Any, file: Path, names: Sequence[str]) -> dict[Any, Any]:
    """Return the first entry of the known names that is a dict with tensors, or the content itself if it is one."""
    within = [content[key] for key in names if key in content] if isinstance(content, Mapping) else []
    for state in (*within, content):
        if isinstance(state, dict) and any(isinstance(value, Tensor) for value in state.values()):
            return state
    raise CheckpointError(
        f"{file} holds no state dict: neither it nor its entry {' or '.join(map(repr, names))} is a dict of "
        f"tensors. It holds {_describe(content)}. Take the weights out: torch.save(model.state_dict(), FILE)."
    )


def _load(file: Path) -> Any:
    is_safetensors = file.suffix == ".safetensors"
    is_archive = not is_safetensors and is_zipfile(file)
    if is_archive:
        check_archive(file)
    try:
        if is_safetensors:
            return load_file(file)
        if not is_archive:
            return torch.load(file, map_location="cpu", weights_only=True)  # as torch wrote them before 1.6
        with _SAFE_GLOBALS:  # what another thread allows counts as safe, too
            stand_ins = [(_StandIn, name) for name in torch.serialization.get_unsafe_globals_in_checkpoint(file)]
            with torch.serialization.safe_globals([*stand_ins, _Inert]):
                # Mapped, since the optimizer's state beside the weights is not needed and twice their size.
                return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a damaged or a dangerous file
        mend = "copy or download it again."
        if not (is_archive or is_safetensors):
            mend = f"it is no archive as torch.save writes them since torch 1.6, or not all of it is there; {mend}"
        raise CheckpointError(f"{file} cannot be read safely as a checkpoint ({_reason(error)}); {mend}") from error


def _reason(error: Exception) -> str:
    """Return what was found, in one line; torch wraps it in its advice to read the file unsafely."""
    found = error.__context__ or error
    return str(found).strip().partition("\n")[0] or type(found).__name__


def _describe(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"one {type(content).__name__.strip('_')}"
    return f"the keys {', '.join(map(repr, list(content)[:10]))}" if content else "nothing"
