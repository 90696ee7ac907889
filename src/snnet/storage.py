"""The files of a saved network, read with nothing but tensors and JSON."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from snnet.anchors import Anchor, AnchorSource, rebuildable_source
from snnet.errors import CheckpointError

HUB_ERRORS: tuple[type[Exception], ...] = (OSError, HFValidationError, HfHubHTTPError.__bases__[0])
"""What the hub's client raises; the last is the base of its HTTP library's errors, of connection for example."""

FORMAT, VERSION = "snnet", 1
WEIGHTS, CONFIG, TABLE, CARD = "model.safetensors", "config.json", "table.jsonl", "README.md"


def read_config(path: Path) -> dict[str, Any]:
    """Read the description of a network.

    Raises:
        CheckpointError: If the file is missing or does not describe one.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no network at {path.parent}: {path.name} is missing.")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is not JSON ({error.msg}); save the network again.") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{path} does not describe a stitchable network: 'format' is not {FORMAT!r}.")
    if config.get("version", 0) > VERSION:
        raise CheckpointError(f"{path} has version {config['version']}; this snnet reads up to {VERSION}: update it.")
    return config


def anchor_entry(anchor: Anchor) -> dict[str, Any]:
    """Return the entry of an anchor in the description: how to build it again, as far as that is known."""
    source = rebuildable_source(anchor)
    kwargs = dict(source.kwargs) if source else {}
    return {"name": anchor.name, "model": source and source.model, "kwargs": kwargs}


def anchor_source(entry: dict[str, Any]) -> AnchorSource:
    """Return how to build the anchor that an entry of the description names.

    Raises:
        CheckpointError: If the anchor was a module that no name rebuilds.
    """
    if entry["model"] is None:
        raise CheckpointError(
            f"Anchor {entry['name']!r} was a model of the user's own, which the file cannot rebuild; "
            "pass the built models: snnet.load(path, models=[...])."
        )
    return AnchorSource(entry["model"], kwargs=tuple(entry["kwargs"].items()), name=entry["name"])


def load_weights(net: nn.Module, path: Path, *, device: str, strict: bool) -> None:
    """Read the weights; tensors that were one when they were saved are one again."""
    # Cloned because tensors in a mapped file may lie unaligned, which changes the last bit of what kernels compute.
    state = {name: tensor.clone() for name, tensor in load_file(path, device=device).items()}
    with safe_open(path, framework="pt") as file:
        same = {alias: name for alias, name in (file.metadata() or {}).items() if name in state}
    state |= {alias: state[name] for alias, name in same.items()}
    net.load_state_dict(state, strict=strict, assign=True)
    for alias, name in same.items():
        owner, _, attribute = alias.rpartition(".")
        module = net.get_submodule(owner)
        if attribute in module._parameters:
            module._parameters[attribute] = net.get_parameter(name)
        else:
            module._buffers[attribute] = net.get_buffer(name)
