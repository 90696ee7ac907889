# Tested in tests/network/test_network.py.
"""Networks of models by name or as they are, of what `save_pretrained` wrote, and of files that were published."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import torch

from snnet.anchors import Anchor, AnchorLike, load_anchor
from snnet.errors import AnchorError, CheckpointError, SNNetError, SpaceError
from snnet.network.family import anchor_macs, check_family, usual_stages
from snnet.network.network import SNNet
from snnet.network.published import FAMILIES, load_published, recognized_family
from snnet.network.restore import read_network
from snnet.space import Direction, SpaceSettings, StitchSpace
from snnet.utils import known_keywords


class Windows(TypedDict, total=False):
    """The keywords of `StitchSpace.build`."""

    kernel_size: int
    stride: int
    nearest: bool
    direction: Direction
    stages: Sequence[int | Sequence[int]] | None


@known_keywords(SpaceError)
def stitch(
    *anchors: AnchorLike,
    pretrained: bool = False,
    num_classes: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    resample: bool = False,
    space: Literal["windows", "search"] = "windows",
    **windows: Unpack[Windows],
) -> SNNet:
    """Turn a family of models into one stitchable network, its anchors in the order of their MACs.

    `net.set_lora_rank(rank)` lets it train low-rank updates of the stitching layers in place of whole maps.

    Weights that come from nowhere, those of the stitching layers to begin with, are drawn from torch's random state.

    Args:
        anchors: Two or more, or one whose skips are searched, of: timm names, `hf-hub:ORG/NAME`, `NAME@FILE`,
            `AnchorSource`, built models.
        pretrained: Load the published weights of models given by name.
        num_classes: Give models that are built by name a classifier of this width.
        image_size: Make all anchors for images of this height and width, or of one number for both; weights of another
            size are resampled, and built models copied. By default each for its own, and all must agree.
        resample: Let stitching layers join grids that differ by an integer factor.
        space: `windows` of cuts, as `windows` say; or `search`: the anchors alone, one of which is enough, among whose
            cuts and skips `snnet.search` then finds the stitches.
        windows: `kernel_size`, `stride`, `nearest`, `direction` and `stages`, as for `StitchSpace.build`; by default
            the stages are those that every anchor's family stitches by default, as far as there is a cut in them.

    Returns:
        The network; its stitching layers are random until `initialize` sets them.

    Raises:
        AnchorError: If a model cannot be built or the anchors cannot be joined.
        SpaceError: If a keyword is unknown or a setting out of range, before any model is built, or if the settings
            leave no stitch.

    Example:
        >>> net = stitch("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")
        >>> len(net.space)
        71
    """
    if not anchors:
        raise AnchorError("stitch() was given no anchors; name two or more, such as 'deit_tiny_patch16_224'.")
    chosen = SpaceSettings(**windows)
    if space == "search" and windows:
        raise SpaceError(
            f"A space that is searched has no windows; leave {' and '.join(windows)} or space='search' out."
        )
    family = [
        load_anchor(source, pretrained=pretrained, num_classes=num_classes, image_size=image_size) for source in anchors
    ]
    own_sizes = image_size is None and len({anchor.input.size for anchor in family}) > 1
    settings = {**windows, "resample": resample, "space": space}
    check_family(family, size=_common_size(anchors, family, settings) if own_sizes else None)
    family.sort(key=anchor_macs)
    depths = [anchor.depths for anchor in family]
    if space == "search":
        return SNNet(family, StitchSpace.through(depths), resample=resample)
    if chosen.stages is None:
        chosen = chosen.model_copy(update={"stages": usual_stages(family)})
    return SNNet(family, StitchSpace.build(depths, **dict(chosen)), resample=resample)


def _common_size(names: Sequence[AnchorLike], family: Sequence[Anchor], settings: Mapping[str, Any]) -> int | None:
    """Return the smallest of the anchors' own image sizes for which all of them make a network; None if there is none.

    Tried without weights on the meta device.
    """
    if not all(isinstance(name, str) for name in names):
        return None
    for size in sorted({side for anchor in family for side in anchor.input.size[1:]}):
        with suppress(SNNetError), torch.device("meta"):
            stitch(*(str(name).partition("@")[0] for name in names), num_classes=1, image_size=size, **settings)
            return size
    return None


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
        path: Directory, `ORG/NAME` on the Hugging Face hub, or a published file, which is known by its names, or whose
            `family` may stand before it: `deit_ti_s_b@snnet_deit.pth`.
        family: Which published network the file is: `deit_ti_s_b`, `swin_ti_s_b`, `resnet18_50`, `resnet18_swin_ti`
            or `levit_192_256`. Nothing is downloaded, and nothing but tensors is read from the file.
        map_location: Device to put the network on.
        models: The built models of all anchors, where the file cannot rebuild one. This and the following are for
            networks that `save_pretrained` wrote.
        strict: Whether the weights must be exactly those of the network: by name, as weights are (numbers that are
            finite), and, with the description, to the last bit as they were saved.
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
            f"{path} is a file, and a network is a directory; a file that the authors of SN-Net published would be "
            f"known by its names. Say which network it is to be told what differs: deit_ti_s_b@{path}, or "
            f"family='deit_ti_s_b' in Python; there are {', '.join(FAMILIES)}."
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
    """Return family and file of `FAMILY@FILE`, or of a file by its names; None if the source is something else."""
    if Path(source).is_file():
        known = recognized_family(source)
        return None if known is None else (known, str(source))
    family, _, file = str(source).partition("@")
    if not file or Path(source).exists():
        return None
    # An unknown family before a file that is there was mistyped, and its error names the families there are.
    return (family, file) if family in FAMILIES or Path(file).is_file() else None
