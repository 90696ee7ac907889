"""State dicts with exactly the names and shapes of the published files, and values of our own."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.conftest import REFERENCE

KEYS = REFERENCE / "official_keys"
RECOMPUTED = ("attn_mask", "relative_position_index", "attention_bias_idxs")


def official_shapes(family: str) -> dict[str, list[int]]:
    path = KEYS / f"{family}.json"
    if not path.is_file():
        pytest.skip(f"the names of the published tensors are not at {path}")
    shapes: dict[str, list[int]] = json.loads(path.read_text())
    return shapes


def official_state(family: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: _values(name, shape, generator) for name, shape in official_shapes(family).items()}


def _values(name: str, shape: list[int], generator: torch.Generator) -> Tensor:
    """As in a trained network: every tensor counts, features keep their scale, variances are positive.

    What models compute themselves is noise, and so are counts: nothing may depend on them.
    """
    if not shape:
        return torch.tensor(len(name))
    if name.endswith("running_var"):
        return torch.rand(shape, generator=generator) + 0.5
    values = torch.randn(shape, generator=generator)
    if name.endswith(".weight"):
        # Scales of norms lie around one, maps have their number of inputs to divide by.
        return 1 + 0.3 * values if len(shape) == 1 else values / math.sqrt(math.prod(shape[1:]))
    return 0.3 * values


def anchor_part(state: dict[str, Tensor], number: int) -> dict[str, Tensor]:
    """The tensors of one anchor that a model keeps, by their names within it, in the order of the file."""
    prefix = f"anchors.{number}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state.items()
        if name.startswith(prefix) and not name.endswith(RECOMPUTED)
    }


def save_state(state: dict[str, Tensor], path: Path, **beside: object) -> Path:
    torch.save({"model": state, **beside}, path)
    return path
