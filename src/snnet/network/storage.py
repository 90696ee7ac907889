"""The files of a saved network, written whole or not at all."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from snnet.anchors import Anchor, rebuildable_source
from snnet.errors import CheckpointError
from snnet.network.card import is_generated, model_card
from snnet.network.interface import Network
from snnet.utils import write_aside, write_json, write_text

_log = logging.getLogger(__name__)
HUB_ERRORS: tuple[type[Exception], ...] = (OSError, HFValidationError, HfHubHTTPError.__bases__[0])
"""What the hub's client raises; the last is the base of its HTTP library's errors, of connection for example."""

FORMAT, VERSION = "snnet", 1
WEIGHTS, CONFIG, TABLE, CARD = "model.safetensors", "config.json", "table.jsonl", "README.md"
SETTINGS = ("resample", "norm_on_stitched", "lora_rank")
"""What the constructor of a network is given besides anchors and space."""


def save_network(net: Network, directory: str | Path) -> None:
    """Write weights, `config.json`, the table and a model card; what stood there before survives any failure.

    Raises:
        CheckpointError: If the files cannot be written.
    """
    target = Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target, prefix=".saving-") as staged:
            _write(net, Path(staged))
            names = {path.name for path in Path(staged).iterdir()}
            for name in sorted(names if is_generated(target / CARD) else names - {CARD}):
                (Path(staged) / name).replace(target / name)
        if TABLE not in names:
            (target / TABLE).unlink(missing_ok=True)
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
    write_json(folder / CONFIG, config)
    if net.table is not None:
        net.table.save(folder / TABLE)
    with write_aside(folder / WEIGHTS) as partial:
        # A tensor that several places share is written once.
        save_model(cast(nn.Module, net), str(partial), metadata={"format": "pt"})
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


def _anchor_entry(anchor: Anchor) -> dict[str, Any]:
    source = rebuildable_source(anchor)
    kwargs = dict(source.kwargs) if source else {}
    return {"name": anchor.name, "model": source and source.model, "kwargs": kwargs}
