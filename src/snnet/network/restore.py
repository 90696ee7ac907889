"""A saved network, read with nothing but tensors and JSON."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from snnet.anchors import Anchor, AnchorLike, AnchorSource, load_anchor
from snnet.errors import AnchorError, CheckpointError
from snnet.network.interface import Network
from snnet.network.storage import CONFIG, FORMAT, HUB_ERRORS, SETTINGS, TABLE, VERSION, WEIGHTS
from snnet.space import StitchSpace
from snnet.table import StitchTable
from snnet.utils import known_keywords, read_description

N = TypeVar("N", bound=Network)


@known_keywords(CheckpointError)
def read_network(
    build: Callable[..., N],
    path: str | Path,
    *,
    map_location: torch.device | str = "cpu",
    strict: bool = True,
    models: Sequence[AnchorLike] | None = None,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> N:
    """Read a network that `save_network` wrote; `build` is its class, and for the rest see `snnet.load`.

    Raises:
        CheckpointError: If there is no such network, or one of its files is damaged.
    """
    hub = {"revision": revision, "token": token, "cache_dir": cache_dir}
    directory = _find_directory(path, **hub, force_download=force_download, local_files_only=local_files_only)
    config = _read_config(directory / CONFIG)
    space = _read_space(directory / CONFIG, config["space"])
    with _anchors_of(directory, config["anchors"], space, models) as anchors:
        net = build(anchors, space, **{name: config[name] for name in SETTINGS if name in config})
        module = cast(nn.Module, net)
        _load_weights(module, directory / WEIGHTS, device=str(map_location), strict=strict)
    if len(net.statistics):
        _check_statistics(net, directory / WEIGHTS)
    net.classes = tuple(config["classes"]) if config.get("classes") else None
    if (directory / TABLE).is_file():
        net.table = StitchTable.load(directory / TABLE)
    # Buffers that are not in the file (window masks, normalizations) are still where they were made.
    module.to(map_location).eval()
    net.statistics.to(next(module.parameters()).dtype)
    return net


def _find_directory(model_id: str | Path, **options: Any) -> Path:
    """Return the directory of a network: the one that `model_id` is, or the hub's of that id, downloaded."""
    path = Path(model_id)
    # A path whose parent exists is a mistyped directory rather than a hub id.
    if path.exists() or str(model_id).count("/") != 1 or path.parent.is_dir():
        return path
    try:
        # A repository may hold exports and bundles besides, larger than the network.
        return Path(snapshot_download(str(model_id), allow_patterns=[CONFIG, TABLE, WEIGHTS], **options))
    except HUB_ERRORS as error:
        raise CheckpointError(
            f"There is no directory {model_id}, and the hub does not give it either: {error}"
        ) from error


def _read_config(path: Path) -> dict[str, Any]:
    """Read the description of a network."""
    config = read_description(path, what="network", format=FORMAT, version=VERSION, error=CheckpointError)
    if missing := {"anchors", "space"} - config.keys():
        raise CheckpointError(
            f"{path} is damaged, it has no {' and no '.join(sorted(missing))}; copy the network again."
        )
    if not (isinstance(config["anchors"], list) and all(map(_is_anchor_entry, config["anchors"]))):
        raise CheckpointError(
            f"{path} is damaged, its anchors are not a list of names, models and kwargs; copy the network again."
        )
    return config


def _read_space(path: Path, description: Any) -> StitchSpace:
    """Return the space that the file at `path` describes."""
    try:
        return StitchSpace.from_config(description)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged, its space cannot be read ({type(error).__name__}: {error}); copy the network again."
        ) from error


def _check_statistics(net: Network, origin: Path) -> None:
    """Refuse running statistics of beginnings that are not the network's, or of other batch norms."""
    ways = [zip(net.prefixes(stitch), net.steps(stitch), strict=True) for stitch in net.space]
    norms = {prefix: net.step_norms(step) for way in ways for prefix, step in way}
    for prefix in net.statistics:
        expected = 2 * sum(norm.num_features for norm in norms.get(prefix, ()))
        found = tuple(net.statistics.get_buffer(prefix).shape)
        if found != (expected,):
            raise CheckpointError(
                f"{origin} has running statistics of shape {found} at {prefix}, and the network takes {expected} "
                "numbers there; it was written for another network."
            )


def _is_anchor_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and {"name", "model"} <= entry.keys() and isinstance(entry.get("kwargs"), dict)


def _anchor_source(entry: Mapping[str, Any]) -> AnchorSource:
    """Return how to build the anchor that an entry of the description names."""
    if entry["model"] is None:
        raise CheckpointError(
            f"Anchor {entry['name']!r} was a model of the user's own, which the file cannot rebuild; "
            "pass the built models: snnet.load(path, models=[...])."
        )
    return AnchorSource(entry["model"], kwargs=tuple(entry["kwargs"].items()), name=entry["name"])


@contextmanager
def _anchors_of(
    directory: Path, entries: Sequence[Mapping[str, Any]], space: StitchSpace, models: Sequence[AnchorLike] | None
) -> Iterator[list[Anchor]]:
    """Give the anchors of a saved network; of models that a user gave for them and that do not fit, say what would.

    That they do not may show only in what is done with them within: building the network, or loading its weights.
    """
    if len(entries) != len(space.depths):
        raise CheckpointError(
            f"{directory / CONFIG} is damaged, it has {len(entries)} anchors, and its space is of {len(space.depths)}; "
            "copy the network again."
        )
    if models is None:
        # Weights are drawn before those of the file take their place.
        with torch.random.fork_rng(devices=[]):
            yield [load_anchor(_anchor_source(entry)) for entry in entries]
        return
    given = [load_anchor(model) for model in models]
    saved = zip((entry["name"] for entry in entries), space.depths, strict=True)
    found = [(anchor.name, tuple(anchor.depths)) for anchor in given]
    order = (
        f"models= must be the anchors of the saved network in {directory}, all of them in their order: "
        f"{_named_depths(saved)}; given: {_named_depths(found)}."
    )
    if [depths for _, depths in found] != list(space.depths):
        raise CheckpointError(order)
    try:
        yield given
    except (AnchorError, CheckpointError) as error:
        if isinstance(error.__cause__, SafetensorError | OSError):
            raise  # the file is damaged, whatever the models
        raise CheckpointError(f"{error}\n{order}") from error


def _named_depths(anchors: Iterable[tuple[str, Sequence[int]]]) -> str:
    """Return how messages name anchors, `small of depths (2, 2), large of depths (2, 2)`."""
    return ", ".join(f"{name} of depths {tuple(depths)}" for name, depths in anchors) or "none"


def _load_weights(net: nn.Module, path: Path, *, device: str, strict: bool) -> None:
    """Read the weights; tensors that were one when they were saved are one again."""
    try:
        # Cloned because tensors in a mapped file may lie unaligned, which changes the last bit of what kernels compute.
        state = {name: tensor.clone() for name, tensor in load_file(path, device=device).items()}
        with safe_open(path, framework="pt") as file:
            same = {alias: name for alias, name in (file.metadata() or {}).items() if name in state}
        state |= {alias: state[name] for alias, name in same.items()}
        net.load_state_dict(state, strict=strict, assign=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error
    for alias, name in same.items():
        owner, _, attribute = alias.rpartition(".")
        module = net.get_submodule(owner)
        if attribute in module._parameters:
            module._parameters[attribute] = net.get_parameter(name)
        else:
            module._buffers[attribute] = net.get_buffer(name)
