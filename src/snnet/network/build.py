# Tested in tests/network/test_network.py.
"""Models by name or as they are, assembled into one stitchable network."""

from collections.abc import Sequence

from snnet.anchors import AnchorLike, load_anchor
from snnet.errors import AnchorError, SpaceError
from snnet.network.family import anchor_macs, check_family
from snnet.network.network import SNNet
from snnet.space import USUAL_SPACE, Direction, SpaceSettings, StitchSpace
from snnet.utils import known_keywords


@known_keywords(SpaceError)
def stitch(
    *anchors: AnchorLike,
    pretrained: bool = False,
    num_classes: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    resample: bool = False,
    kernel_size: int = USUAL_SPACE.kernel_size,
    stride: int = USUAL_SPACE.stride,
    nearest: bool = USUAL_SPACE.nearest,
    direction: Direction = USUAL_SPACE.direction,
    stages: Sequence[int] | None = USUAL_SPACE.stages,
) -> SNNet:
    """Turn a family of models into one stitchable network, its anchors in the order of their MACs.

    `net.set_lora_rank(rank)` lets it train low-rank updates of the stitching layers in place of whole maps.

    Weights that come from nowhere, those of the stitching layers to begin with, are drawn from torch's random state.

    Args:
        anchors: Two or more of: timm names, `hf-hub:ORG/NAME`, `NAME@FILE`, `AnchorSource`, built models.
        pretrained: Load the published weights of models given by name.
        num_classes: Give models that are built by name a classifier of this width.
        image_size: Build models that are given by name for images of this height and width, or of one number for both;
            by default each for its own, and all must agree.
        resample: Let stitching layers join grids that differ by an integer factor.
        kernel_size: Blocks in a sliding window of paired stitching.
        stride: Blocks by which the window moves.
        nearest: Join only neighboring anchors; otherwise every subset of two or more.
        direction: `fast-to-slow`, `slow-to-fast`, or `both`.
        stages: Stages to stitch; by default those that every anchor's family stitches by default.

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
    space = SpaceSettings(kernel_size=kernel_size, stride=stride, nearest=nearest, direction=direction, stages=stages)
    family = [
        load_anchor(source, pretrained=pretrained, num_classes=num_classes, image_size=image_size) for source in anchors
    ]
    check_family(family)
    family.sort(key=anchor_macs)
    if space.stages is None:
        usual = [n for n in family[0].stages if all(n in anchor.stages for anchor in family)]
        space = space.model_copy(update={"stages": tuple(usual)})
    built = StitchSpace.build([anchor.depths for anchor in family], **dict(space))
    return SNNet(family, built, resample=resample)
