"""One way to read a network, whoever wrote it."""

from pathlib import Path
from typing import Any

from snnet.errors import CheckpointError
from snnet.network.network import SNNet
from snnet.network.published.families import FAMILIES
from snnet.network.published.load import load_published


def load(path: str | Path, *, family: str | None = None, **options: Any) -> SNNet:
    """Read a network that `save_pretrained` wrote, from a directory or a hub id, or one that the authors published.

    Args:
        path: Directory, `ORG/NAME` on the Hugging Face hub, or a published file together with its `family`, which may
            also stand before it: `deit_ti_s_b@snnet_deit.pth`.
        family: Which published network the file is: `deit_ti_s_b`, `swin_ti_s_b`, `resnet18_50`, `resnet18_swin_ti`
            or `levit_192_256`. Nothing is downloaded, and nothing but tensors is read from the file.
        options: `map_location`; for a network of ours also `models=[...]`, the built models of anchors that the file
            cannot rebuild, and the hub's own `revision`, `token`, `cache_dir`.

    Raises:
        CheckpointError: If there is no such network, one of its files is damaged, or it is not of that family.

    Example:
        >>> net = load("snnet_deit.pth", family="deit_ti_s_b")  # doctest: +SKIP
    """
    published = (str(family), path) if family is not None else published_file(path)
    if published is not None:
        return load_published(published[1], published[0], **options)
    if Path(path).is_file():
        raise CheckpointError(
            f"{path} is a file, and a network is a directory; for a file that the authors of SN-Net published, say "
            f"which network it is: deit_ti_s_b@{path}, or family='deit_ti_s_b' in Python; there are "
            f"{', '.join(FAMILIES)}."
        )
    return SNNet.from_pretrained(path, **options)


def published_file(source: str | Path) -> tuple[str, str] | None:
    """Return family and file of `FAMILY@FILE`; None if the source is something else, such as a path with an `@`."""
    family, _, file = str(source).partition("@")
    if not file or Path(source).exists():
        return None
    # An unknown family before a file that is there was mistyped, and its error names the families there are.
    return (family, file) if family in FAMILIES or Path(file).is_file() else None
