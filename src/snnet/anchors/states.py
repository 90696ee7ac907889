# Tested in tests/anchors/test_load.py.
"""Whether the tensors of a file are weights, and those of a model."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from snnet.errors import CheckpointError
from snnet.utils import counted

_SHOWN = 5


def check_archive(path: Path) -> None:
    """Compare the records of an archive that `torch.save` wrote with its checksums, which torch does not read.

    Raises:
        CheckpointError: If one differs; the message names it.
    """
    try:
        with ZipFile(path) as archive:
            damaged = archive.testzip()
    except (BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is a damaged archive ({error}); copy or download it again.") from error
    if damaged is not None:
        raise CheckpointError(
            f"{path} is damaged: its record {damaged} does not have the checksum that it was written with; copy or "
            "download it again."
        )


def check_tensors(state: Mapping[str, Tensor], origin: str | Path, *, whole: Collection[str] = ()) -> None:
    """Refuse tensors that are no weights: sparse, without numbers, complex, whole numbers, or not finite.

    Args:
        state: The tensors of a file by name.
        origin: The file.
        whole: Names whose numbers may be whole, such as counters and indices.

    Raises:
        CheckpointError: With the first names, each with what it is.
    """
    found = {name: _fault(tensor, name in whole) for name, tensor in state.items()}
    if faults := [f"{name} {fault}" for name, fault in found.items() if fault]:
        raise CheckpointError(
            f"{origin} holds what are no weights: {listed(faults)}. Accepted are dense tensors of finite "
            "floating-point numbers; copy, download or train it again."
        )


def _fault(tensor: Tensor, may_be_whole: bool) -> str | None:
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        return f"is {'meta' if tensor.is_meta else 'quantized' if tensor.is_quantized else tensor.layout}"
    if tensor.is_complex() or not (tensor.is_floating_point() or may_be_whole):
        return f"is {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.is_floating_point() and not tensor.isfinite().all():
        return f"has {int((~tensor.isfinite()).sum())} of {counted(tensor.numel(), 'number')} that are not finite"
    return None


def check_fit(
    state: Mapping[str, Tensor], wanted: Mapping[str, Sequence[int]], failure: str, *, optional: Collection[str] = ()
) -> None:
    """Refuse tensors that have other names or shapes than a model's.

    Args:
        state: The tensors of a file by name.
        wanted: Name -> shape of every tensor that the file may have.
        failure: How the message begins, such as `FILE does not fit the model`.
        optional: Names that may be missing.

    Raises:
        CheckpointError: With the first names of each kind of difference.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    faults = {
        "is missing": [name for name in wanted if name not in state and name not in optional],
        "is not known": [name for name in state if name not in wanted],
        "has another shape": [
            f"{name}: {shapes[name]} in the file, {tuple(shape)} in the network"
            for name, shape in wanted.items()
            if name in state and shapes[name] != tuple(shape)
        ],
    }
    if any(faults.values()):
        told = " ".join(f"What {what}: {listed(names)}." for what, names in faults.items() if names)
        raise CheckpointError(f"{failure}. {told}")


def without_prefix(state: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Return tensors without what all their names begin with, such as `model.`, where only that makes names known."""
    stripped = dict(state)
    while stripped and not any(name in wanted for name in stripped):
        heads = {name.partition(".")[0] for name in stripped}
        if len(heads) > 1 or not all("." in name for name in stripped):
            return dict(state)
        stripped = {name.partition(".")[2]: tensor for name, tensor in stripped.items()}
    return stripped


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
