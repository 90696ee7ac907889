# Tested in tests/network/test_network.py.
"""One way to read a network, whoever wrote it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from snnet.anchors import AnchorLike
from snnet.errors import CheckpointError
from snnet.network.network import SNNet
from snnet.network.published.families import FAMILIES
from snnet.network.published.load import load_published
from snnet.network.restore import read_network
from snnet.utils import known_keywords


@known_keywords(CheckpointError)
def load(
    path: str | Path,
    *,
    family: str | None = None,
    map_location: torch.device | str = "cpu",
    models: Sequence[AnchorLike] | None = None,
    strict: bool = True,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> SNNet:
    """Read a network that `save_pretrained` wrote, from a directory or a hub id, or one that the authors published.

    Args:
        path: Directory, `ORG/NAME` on the Hugging Face hub, or a published file together with its `family`, which may
            also stand before it: `deit_ti_s_b@snnet_deit.pth`.
        family: Which published network the file is: `deit_ti_s_b`, `swin_ti_s_b`, `resnet18_50`, `resnet18_swin_ti`
            or `levit_192_256`. Nothing is downloaded, and nothing but tensors is read from the file.
        map_location: Device to put the network on.
        models: The built models of all anchors, where the file cannot rebuild one. This and the following are for
            networks that `save_pretrained` wrote.
        strict: Whether the weights must be exactly those of the network.
        revision: Branch, tag or commit on the hub.
        token: Token of the hub; the one that `hf auth login` keeps if None.
        cache_dir: Where downloads are kept; the hub's usual place if None.
        force_download: Download again what is there.
        local_files_only: Take what was downloaded before, and ask no server.

    Returns:
        The network, in evaluation mode.

    Raises:
        CheckpointError: If there is no such network, one of its files is damaged, or it is not of that family; or if a
            keyword is unknown, before anything is read.

    Example:
        >>> net = load("snnet_deit.pth", family="deit_ti_s_b")  # doctest: +SKIP
    """
    published = (str(family), path) if family is not None else published_file(path)
    if published is not None:
        if models is not None:
            raise CheckpointError(f"{published[1]} is a published file, whose models are known; leave models= out.")
        return load_published(published[1], published[0], map_location=map_location)
    if Path(path).is_file():
        raise CheckpointError(
            f"{path} is a file, and a network is a directory; for a file that the authors of SN-Net published, say "
            f"which network it is: deit_ti_s_b@{path}, or family='deit_ti_s_b' in Python; there are "
            f"{', '.join(FAMILIES)}."
        )
    return read_network(
        SNNet,
        path,
        map_location=map_location,
        strict=strict,
        models=models,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
    )


def published_file(source: str | Path) -> tuple[str, str] | None:
    """Return family and file of `FAMILY@FILE`; None if the source is something else, such as a path with an `@`."""
    family, _, file = str(source).partition("@")
    if not file or Path(source).exists():
        return None
    # An unknown family before a file that is there was mistyped, and its error names the families there are.
    return (family, file) if family in FAMILIES or Path(file).is_file() else None
