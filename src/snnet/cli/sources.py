"""What a user names on the command line: families of anchors, saved networks, tables."""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnet.cli.console import loading
from snnet.cli.options import writable
from snnet.errors import AnchorError, CheckpointError, TableError
from snnet.space import SpaceSettings, StitchSpace
from snnet.table import StitchTable, in_precision, load_precisions, other_table, precisions_of
from snnet.utils import precision_of

if TYPE_CHECKING:
    from snnet.network import SNNet

TABLE, CONFIG, LOG, RECIPE = "table.jsonl", "config.json", "log.jsonl", "recipe.yaml"
_HUB = "hf-hub:"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+?)(?:\.git)?(?:[/?#].*)?"
)
_DEPTHS = re.compile(r"\d+(-\d+)*")


def is_network(source: str) -> bool:
    """Return whether `source` is a directory that holds a network."""
    return (Path(source) / CONFIG).is_file()


def table_file(network: str, output: Path | None) -> Path:
    """Return the file of a network's table, `output` if that is given; refuse one that cannot be written."""
    return writable(output or (Path(network) / TABLE if is_network(network) else Path(TABLE)), is_file=True)


def table_in(net: "SNNet", path: Path, network: str, precision: str | None) -> Path:
    """Return the file for what is measured in a precision, and let the network's table be what is known in that.

    What is measured in another precision than the network's own stands in a file beside its table.

    Args:
        net: The network.
        path: The file that was asked for, or the one of the network's own table.
        network: Its directory.
        precision: What it is measured in; its own if None.
    """
    if precision is None or precision == precision_of(net.dtype):
        return path
    file = other_table(path, precision) if path == Path(network) / TABLE else path
    net.table = StitchTable.load(file) if file.is_file() else None
    return writable(file, is_file=True)


def without_address(source: str) -> str:
    """Return the `hf-hub:ORG/NAME` of a page of the hub, whose address was pasted; anything else as it is."""
    found = _HUB_ADDRESS.fullmatch(source)
    return f"{_HUB}{found[1]}" if found else source


def network_shape(sources: Sequence[str], **options: Any) -> "SNNet":
    """Return a saved network, or a family without weights on the meta device: enough to list and to count.

    Raises:
        AnchorError: If there is no such model.
        CheckpointError: If there is no such network.
    """
    if not sources:
        raise AnchorError("Name two or more anchors, such as deit_tiny_patch16_224 deit_small_patch16_224.")
    loading()
    import torch

    sources = [without_address(source) for source in sources]
    first = sources[0]
    # One anchor makes no family, so a single path or hub id can only be a network.
    is_path = Path(first).exists() or ("/" in first and "@" not in first)
    if len(sources) == 1 and (is_path or names_published(first)):
        return saved_network(first, options)
    with torch.device("meta"):
        return stitched(*(source.partition("@")[0] for source in sources), **options)


def stitched(*anchors: str, lora_rank: int | None = None, **options: Any) -> "SNNet":
    """Return a network of anchors that a user named, with the options of `FamilyOptions`."""
    from snnet.network import stitch

    net = stitch(*map(without_address, anchors), **options)
    return net if lora_rank is None else net.set_lora_rank(lora_rank)


def saved_network(source: str, options: Collection[str] = ()) -> "SNNet":
    """Return the network of a directory, of a hub id such as `ORG/NAME` or `hf-hub:ORG/NAME`, or of `FAMILY@FILE`.

    Raises:
        CheckpointError: If there is none, or if options of a family are given for a network that has its own.
    """
    loading()
    from snnet.network import load, published_file

    source = without_address(source)
    if options:
        raise CheckpointError(
            f"{source} has anchors and a space already, so {_flags(options)} cannot be set; name anchors instead."
        )
    if published_file(source) is None:
        _check_exists(source)
    return load(source.removeprefix(_HUB))


def _flags(options: Iterable[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in options)


def names_published(source: str) -> bool:
    """Return whether `source` is `FAMILY@FILE`, with the name of a family that the authors of SN-Net published."""
    from snnet.network.published import FAMILIES

    family, at, _ = source.partition("@")
    return bool(at) and family in FAMILIES


def _check_exists(source: str) -> None:
    """Refuse a local path at which nothing is; the hub is not asked for one that was mistyped."""
    if Path(source).exists():
        return
    is_id = _HUB_ID.fullmatch(source.removeprefix(_HUB)) is not None
    if is_id and (source.startswith(_HUB) or not Path(source).parent.exists()):
        return
    hint = "give a directory that `snnet init` or `snnet train` wrote, or FAMILY@FILE for a published file"
    if is_id:
        hint = f"{hint}; for the hub write {_HUB}{source}"
    raise CheckpointError(f"There is no network at {source}; {hint}.")


def space_of(sources: Sequence[str], **options: Any) -> tuple[StitchSpace, list[str]]:
    """Return a space and the names of its anchors, from anchors, from block counts such as `12`, or from a network."""
    if sources and all(map(_DEPTHS.fullmatch, sources)):
        depths = [[int(blocks) for blocks in source.split("-")] for source in sources]
        if of_models := options.keys() - SpaceSettings.model_fields.keys():
            raise AnchorError(f"Block counts take no {_flags(sorted(of_models))}; name models, or leave that out.")
        return StitchSpace.build(depths, **options), [f"{source} blocks" for source in sources]
    net = network_shape(sources, **options)
    return net.space, [anchor.name for anchor in net.family]


def read_table(source: str, precision: str | None = None) -> StitchTable:
    """Return the table of a file, or of a saved network's directory; no weights are read.

    Args:
        source: The file, or the directory.
        precision: What its rows are of, where there are rows of several; `any` for all of these, the network's own if
            None.

    Raises:
        TableError: If there is none.
    """
    path = Path(source)
    if (named := without_address(source)).startswith(_HUB):
        raise TableError(f"{named} is on the hub, and its table is read from a file: download it and name the folder.")
    if path.is_dir() and not (path / TABLE).is_file():
        hint = f"`snnet profile {source}` and `snnet evaluate {source}` write one."
        raise TableError(f"{source} holds no {TABLE}; {hint}")
    table = load_precisions(path / TABLE if path.is_dir() else path)
    if precision == "any":
        return table
    return in_precision(table, precision if precision in precisions_of(table) and precision else "")
