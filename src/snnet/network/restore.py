"""A saved network, read with nothing but tensors and JSON."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from snnet.anchors import Anchor, AnchorLike, check_fit, check_tensors, load_anchor
from snnet.errors import AnchorError, CheckpointError, SNNetError, TableError
from snnet.network.description import AnchorRecord, NetworkRecord
from snnet.network.interface import Network
from snnet.network.storage import CONFIG, HITS, HUB_ERRORS, OF_WEIGHTS, SETTINGS, TABLE, WEIGHTS
from snnet.space import StitchSpace
from snnet.table import StitchTable
from snnet.utils import file_digest, finish_folder, known_keywords

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
    place = checked_device(map_location)
    hub = {"revision": revision, "token": token, "cache_dir": cache_dir}
    directory = _find_directory(path, **hub, force_download=force_download, local_files_only=local_files_only)
    with suppress(OSError):  # of what may only be read, a mix of then and now is found by its digest
        finish_folder(directory, last=CONFIG)
    record = NetworkRecord.read(directory / CONFIG, verify=strict)
    space = record.built_space()
    if strict:
        _check_digest(directory / WEIGHTS, record.weights)
    with _anchors_of(directory, record.anchors, space, models) as anchors:
        settings = {name: getattr(record, name) for name in SETTINGS}
        net = build(anchors, space, **settings, head=record.built_head(), task=record.built_task())
        module = cast(nn.Module, net)
        _load_weights(module, directory / WEIGHTS, device=str(place), strict=strict)
    if len(net.statistics):
        _check_statistics(net, directory / WEIGHTS)
    if record.classes:
        width = net.num_classes
        if len(record.classes) != width:
            raise CheckpointError(
                f"{directory / CONFIG} is damaged: classes: {len(record.classes)} names are no names of {width} "
                "classes; copy the network again."
            )
        net.classes = tuple(record.classes)
    if (directory / TABLE).is_file():
        net.table = _read_table(directory / TABLE, space, record.weights)
    # Buffers that are not in the file (window masks, normalizations) are still where they were made.
    module.to(place).eval()
    net.statistics.to(next(module.parameters()).dtype)
    return net


def checked_device(name: torch.device | str) -> torch.device:
    """Return the device of a name.

    Raises:
        CheckpointError: If it is the name of none.
    """
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"map_location={name!r} is no device ({reason}); give 'cpu' or 'cuda'.") from None


def _check_digest(path: Path, written: str | None) -> None:
    """Refuse weights that are not those of the description; version 0.1.0 did not say which they are."""
    if written is not None and path.is_file() and file_digest(path) != written:
        raise CheckpointError(
            f"{path} is damaged, or of another network: its SHA-256 is not the one in {CONFIG}; copy or save the "
            "network again, or load it as it is with strict=False."
        )


def _read_table(path: Path, space: StitchSpace, weights: str | None) -> StitchTable:
    """Read the table of a network.

    Raises:
        TableError: If it cannot be read or is of another network.
    """
    table = StitchTable.load(path)
    of = table.meta.pop(OF_WEIGHTS, weights)
    strange = [row for row in table if row.index >= len(space) or space[row.index] != row.route]
    if strange or of != weights:
        what = f"stitch {strange[0].index} there is {strange[0].stitch}" if strange else "it was saved with others"
        raise TableError(
            f"{path} is not the table of the network beside it ({what}); copy or save the network again, or remove "
            "the table."
        )
    return table


def _find_directory(model_id: str | Path, **options: Any) -> Path:
    """Return the directory of a network: the one that `model_id` is, or the hub's of that id, downloaded."""
    path = Path(model_id)
    # A path whose parent exists is a mistyped directory rather than a hub id.
    if path.exists() or str(model_id).count("/") != 1 or path.parent.is_dir():
        return path
    try:
        # A repository may hold exports and bundles besides, larger than the network.
        return Path(snapshot_download(str(model_id), allow_patterns=[CONFIG, TABLE, HITS, WEIGHTS], **options))
    except HUB_ERRORS as error:
        raise CheckpointError(
            f"There is no directory {model_id}, and the hub does not give it either: {error}"
        ) from error


def _check_statistics(net: Network, origin: Path) -> None:
    """Refuse running statistics of beginnings that are not the network's, or of other batch norms."""
    if not len(net.statistics):
        return  # else every load would look through every route
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


def _rebuilt(origin: Path, number: int, entry: AnchorRecord) -> Anchor:
    """Return the anchor that an entry of the description names, with weights drawn at random."""
    if entry.model is None:
        raise CheckpointError(
            f"Anchor {entry.name!r} was a model of the user's own, which the file cannot rebuild; "
            "pass the built models: snnet.load(path, models=[...])."
        )
    try:
        return load_anchor(entry.source)
    except SNNetError:
        raise
    except Exception as error:  # models raise many kinds for arguments that they cannot be built with
        raise CheckpointError(
            f"{origin}: anchors.{number}: {entry.model} cannot be built with kwargs {entry.kwargs} "
            f"({type(error).__name__}: {error}); copy the network again."
        ) from error


@contextmanager
def _anchors_of(
    directory: Path, entries: Sequence[AnchorRecord], space: StitchSpace, models: Sequence[AnchorLike] | None
) -> Iterator[list[Anchor]]:
    """Give the anchors of a saved network; of models that a user gave for them and that do not fit, say what would.

    That they do not may show only in what is done with them within: building the network, or loading its weights.
    """
    if models is None:
        # Weights are drawn before those of the file take their place.
        with torch.random.fork_rng(devices=[]):
            yield [_rebuilt(directory / CONFIG, number, entry) for number, entry in enumerate(entries)]
        return
    given = [load_anchor(model) for model in models]
    saved = zip((entry.name for entry in entries), space.depths, strict=True)
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
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error
    if strict:
        whole = {name for name, own in net.state_dict().items() if not own.is_floating_point()}
        check_tensors(state, path, whole=whole)
        # Running statistics are of whatever routes the file says, and checked afterwards.
        routed = {name for name in state if name.startswith("statistics.")}
        wanted = {name: own.shape for name, own in {**net.state_dict(), **{n: state[n] for n in routed}}.items()}
        check_fit(state, wanted, f"{path} does not fit the network")
    try:
        net.load_state_dict(state, strict=strict, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error
    for alias, name in same.items():
        owner, _, attribute = alias.rpartition(".")
        module = net.get_submodule(owner)
        if attribute in module._parameters:
            module._parameters[attribute] = net.get_parameter(name)
        else:
            module._buffers[attribute] = net.get_buffer(name)
