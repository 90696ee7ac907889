"""Nothing but the tensors of a file that may hold arbitrary Python objects beside them."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor

from snnet.anchors import check_archive, listed
from snnet.errors import CheckpointError

_STATE = ("model", "state_dict")
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


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a training script's checkpoint without running anything that the file says.

    The state may stand under `model` or `state_dict` or be the whole file, each name with `module.` before it or
    not. torch's restricted unpickler reads the file; objects of other kinds beside the tensors, such as the
    arguments of the script, become empty stand-ins.

    Raises:
        CheckpointError: If there is no such file, it cannot be read safely, or it holds no state dict.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"There is no checkpoint at {file}; give the .pth file that the authors published.")
    state = _find_state(_load(file), file)
    others = [repr(name) for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        raise CheckpointError(f"{file} holds no state dict: what is no tensor in it: {listed(others)}.")
    if all(name.startswith(_PREFIX) for name in state):
        return {name.removeprefix(_PREFIX): tensor for name, tensor in state.items()}
    return dict(state)


def _find_state(content: Any, file: Path) -> dict[Any, Any]:
    """Return the first entry of the known names that is a dict with tensors, or the content itself if it is one."""
    within = [content[key] for key in _STATE if key in content] if isinstance(content, Mapping) else []
    for state in (*within, content):
        if isinstance(state, dict) and any(isinstance(value, Tensor) for value in state.values()):
            return state
    raise CheckpointError(
        f"{file} holds no state dict: neither it nor its entry {' or '.join(map(repr, _STATE))} is a dict of "
        f"tensors. It holds {_describe(content)}."
    )


def _load(file: Path) -> Any:
    if not is_zipfile(file):
        raise CheckpointError(
            f"{file} is no archive as torch.save writes them since torch 1.6, or not all of it is there; copy or "
            "download it again."
        )
    check_archive(file)
    try:
        with _SAFE_GLOBALS:  # what another thread allows counts as safe, too
            stand_ins = [(_StandIn, name) for name in torch.serialization.get_unsafe_globals_in_checkpoint(file)]
            with torch.serialization.safe_globals([*stand_ins, _Inert]):
                # Mapped, since the optimizer's state beside the weights is not needed and twice their size.
                return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a damaged or a dangerous file
        raise CheckpointError(
            f"{file} cannot be read safely as a checkpoint ({_reason(error)}); copy or download it again."
        ) from error


def _reason(error: Exception) -> str:
    """Return what was found, in one line; torch wraps it in its advice to read the file unsafely."""
    found = error.__context__ or error
    return str(found).strip().partition("\n")[0] or type(found).__name__


def _describe(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"one {type(content).__name__.strip('_')}"
    return f"the keys {', '.join(map(repr, list(content)[:10]))}" if content else "nothing"
