"""Which shards a split has under a root, how many samples they hold, and which classes there are."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from snnet.data.folder import SPLIT_FOLDERS
from snnet.data.shards import Shard
from snnet.errors import DataError

INFO_FILES = ("_info.json", "info.json", "_info.yaml", "info.yaml")
CLASS_FILE = "classnames.txt"


def find_shards(root: Path, split: str) -> tuple[list[Shard], tuple[str, ...], str | None]:
    """Find the shards of a split: those that timm's info file lists, or else those with its name in their path.

    Args:
        root: Holds the shards and, if there is one, `_info.json` or `info.yaml`, laid out as timm's reader wants it.
        split: `train` or `validation`; other usual names such as `val` are found too.

    Returns:
        The shards in their order; the names of the classes, empty where nothing tells them; and the field of each
        sample's `.json` that holds the label, None for the usual places.

    Raises:
        DataError: If there are none, or one that is listed is missing.
    """
    info = _read_info(root)
    splits = info.get("splits") or {}
    shards, label_key = _listed(root, splits, split) if splits else (_named(root, split), None)
    missing = [str(shard.path) for shard in shards if not shard.path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(shards)} shards are missing: {', '.join(missing[:3])}; copy them anew."
        )
    return shards, _classes(root, info), label_key


def _read_info(root: Path) -> Mapping[str, Any]:
    path = next((root / name for name in INFO_FILES if (root / name).is_file()), None)
    if path is None:
        return {}
    text = path.read_text(encoding="utf-8")
    try:
        info = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read ({' '.join(str(error).split())}); correct or remove it.") from error
    if not isinstance(info, dict) or not isinstance(info.get("splits", {}), dict):
        raise DataError(f"{path} is no info file of shards: it needs 'splits', each with 'filenames'.")
    return info


def _listed(root: Path, splits: Mapping[str, Any], split: str) -> tuple[list[Shard], str | None]:
    name = next((name for name in SPLIT_FOLDERS[split] if name in splits), None)
    if name is None:
        wanted = " or ".join(SPLIT_FOLDERS[split])
        raise DataError(f"The info file in {root} lists no {split} split ({wanted}), only {', '.join(splits)}.")
    entry = splits[name]
    files = entry.get("filenames") if isinstance(entry, dict) else None
    if not files:
        raise DataError(f"The info file in {root} lists no 'filenames' for its split {name!r}.")
    lengths = entry.get("shard_lengths") or [None] * len(files)
    if len(lengths) != len(files):
        raise DataError(
            f"The info file in {root} has {len(files)} filenames and {len(lengths)} shard_lengths for {name!r}; "
            "it needs as many."
        )
    shards = [Shard(root / file, length) for file, length in zip(files, lengths, strict=True)]
    return shards, entry.get("alt_label") or None


def _named(root: Path, split: str) -> list[Shard]:
    paths = sorted(path for path in root.rglob("*.tar") if not path.name.startswith("."))
    # Validation shards before test shards: the two must not mix.
    for name in SPLIT_FOLDERS[split]:
        found = [Shard(path) for path in paths if name in re.split("[^a-z]+", str(path.relative_to(root)).lower())]
        if found:
            return found
    what = f"{len(paths)} shards, none of them named for" if paths else "no shards (*.tar) for"
    wanted = " or ".join(f"{name}-0000.tar" for name in SPLIT_FOLDERS[split][:2])
    raise DataError(f"{root} has {what} the {split} split; name them {wanted}, or list them in {INFO_FILES[0]}.")


def _classes(root: Path, info: Mapping[str, Any]) -> tuple[str, ...]:
    listed = info.get("classes")
    if listed:
        return tuple(map(str, listed))
    path = root / CLASS_FILE
    return tuple(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else ()
