"""The files of a saved network, written whole or not at all."""

import logging
from pathlib import Path
from typing import Any, cast

from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from snnet.anchors import Anchor, rebuildable_source
from snnet.errors import CheckpointError
from snnet.network.card import is_generated, model_card
from snnet.network.description import FORMAT, VERSION
from snnet.network.interface import Network
from snnet.table import StitchTable, hits_file
from snnet.tasks import Classification, describe_task
from snnet.utils import file_digest, sealed, write_folder, write_json, write_text

_log = logging.getLogger(__name__)
HUB_ERRORS: tuple[type[Exception], ...] = (OSError, HFValidationError, HfHubHTTPError.__bases__[0])
"""What the hub's client raises; the last is the base of its HTTP library's errors, of connection for example."""

WEIGHTS, CARD = "model.safetensors", "README.md"
TABLE = "table.jsonl"
CONFIG = "config.json"
"""File of a network that describes it, with a digest of its weights."""
HITS = hits_file(TABLE).name
OF_WEIGHTS = "weights"
"""The fact of a saved table that says with which weights it was written."""
SETTINGS = ("resample", "norm_on_stitched", "lora_rank", "taps")
"""What the constructor of a network is given besides anchors and space, head and task."""


def save_network(net: Network, directory: str | Path) -> None:
    """Write weights, `config.json`, the table and a model card; what stood there before survives any failure.

    Raises:
        CheckpointError: If the files cannot be written.
    """
    target = Path(directory)
    try:
        with write_folder(target, last=CONFIG, gone=[TABLE, HITS]) as fresh:
            _write(net, fresh)
            if not is_generated(target / CARD):
                (fresh / CARD).unlink()
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The network cannot be saved in {target} ({error}); what was there before is untouched."
        ) from error


def _write(net: Network, folder: Path) -> None:
    config = describe(net)
    if nameless := [entry["name"] for entry in config["anchors"] if entry["model"] is None]:
        _log.warning(
            "No name rebuilds %s: to load this network give the built models of all its anchors, in their order, "
            "snnet.load(PATH, models=[...]); or register what builds them with @snnet.MODELS.register('NAME').",
            " and ".join(map(repr, nameless)),
        )
    # A tensor that several places share is written once.
    save_model(cast(nn.Module, net), str(folder / WEIGHTS), metadata={"format": "pt"})
    config["weights"] = file_digest(folder / WEIGHTS)
    write_json(folder / CONFIG, sealed(config))
    if net.table is not None:
        StitchTable(net.table, {**net.table.meta, OF_WEIGHTS: config["weights"]}).save(folder / TABLE)
    write_text(folder / CARD, str(model_card(net)))


def describe(net: Network) -> dict[str, Any]:
    """Return what `config.json` says: how to build the anchors again, the space, classes, and settings by name."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "anchors": [_anchor_entry(anchor) for anchor in net.family],
        "space": net.space.to_config(),
        "classes": net.classes,
        **net.settings,
    }


def settings_of(net: Network) -> dict[str, Any]:
    """Return what the constructor was given besides anchors and space, as plain data, and differs from the usual."""
    values = {name: getattr(net, name) for name in SETTINGS}
    values["head"] = None if net.head_source is None else net.head_source.to_config()
    values["task"] = None if type(net.task) is Classification else describe_task(net.task)
    return {name: value for name, value in values.items() if value is not None}


def _anchor_entry(anchor: Anchor) -> dict[str, Any]:
    source = rebuildable_source(anchor)
    kwargs = dict(source.kwargs) if source else {}
    return {"name": anchor.name, "model": source and source.model, "kwargs": kwargs}
