"""Models by name or as they are, assembled into one stitchable network."""

from typing import Any

from snnet.anchors import AnchorLike, load_anchor
from snnet.errors import AnchorError
from snnet.network.family import anchor_macs, check_family
from snnet.network.network import SNNet
from snnet.space import StitchSpace


def stitch(
    *anchors: AnchorLike,
    pretrained: bool = False,
    num_classes: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    sort: bool = True,
    resample: bool = False,
    lora_rank: int | None = None,
    **space: Any,
) -> SNNet:
    """Turn a family of models into one stitchable network.

    Weights that come from nowhere, those of the stitching layers to begin with, are drawn from torch's random state.

    Args:
        anchors: Two or more of: timm names, `hf-hub:ORG/NAME`, `NAME@FILE`, `AnchorSource`, built models.
        pretrained: Load the published weights of models given by name.
        num_classes: Give models that are built by name a classifier of this width.
        image_size: Build models that are given by name for images of this height and width, or of one number for both;
            by default each for its own, and all must agree.
        sort: Order the anchors by measured MACs; False keeps the given order.
        resample: Let stitching layers join grids that differ by an integer factor.
        lora_rank: Train low-rank updates of the stitching layers in place of whole maps.
        space: Settings of `StitchSpace.build`: `kernel_size`, `stride`, `nearest`, `direction`, `stages`. Without
            `stages`, those that every anchor's family stitches by default.

    Raises:
        AnchorError: If a model cannot be built or the anchors cannot be joined.
        SpaceError: If the settings leave no stitch.

    Example:
        >>> net = stitch("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")
        >>> len(net.space)
        71
    """
    if not anchors:
        raise AnchorError("stitch() was given no anchors; name two or more, such as 'deit_tiny_patch16_224'.")
    settings: dict[str, Any] = {"pretrained": pretrained, "num_classes": num_classes, "image_size": image_size}
    family = [load_anchor(source, **settings) for source in anchors]
    check_family(family)
    if sort:
        family.sort(key=anchor_macs)
    if space.get("stages") is None:
        space["stages"] = [n for n in family[0].stages if all(n in anchor.stages for anchor in family)]
    built = StitchSpace.build([anchor.depths for anchor in family], **space)
    return SNNet(family, built, resample=resample, lora_rank=lora_rank)
