# Tested in tests/network/published/test_load.py.
"""Which networks were published: their anchors, stitched stages, and how their files name things."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snnet.errors import CheckpointError, did_you_mean
from snnet.network.published.names import as_in_timm, levit_name, swin_name

NameMap = Callable[[str], str]
"""timm's name of a tensor within a model -> the published name within that anchor."""


@dataclass(frozen=True, slots=True)
class PublishedFamily:
    """One published network.

    Attributes:
        name: What `snnet.load(path, family=...)` calls it.
        anchors: timm names, from the smallest.
        names: For each anchor, how its tensors are called in the file.
        stages: Stages that are stitched.
        stage_in_names: Whether the names of stitching layers begin with the stage, counted from the first stitched.
        convolutions: Whether stitching weights are (out, in, 1, 1) in the file.
        norm_on_stitched: Whether stitched routes end with their last anchor's final norm.
        crop_pct: Share of the resized image that the authors' evaluation keeps; timm's record of the anchors if None.
    """

    name: str
    anchors: Sequence[str]
    names: Sequence[NameMap]
    stages: Sequence[int]
    stage_in_names: bool = True
    convolutions: bool = False
    norm_on_stitched: bool = True
    crop_pct: float | None = None

    def layer_name(self, stage: int, pair: int, number: int) -> str:
        """Return the published name of a stitching layer.

        Args:
            stage: Number of the stage among all stages of an anchor.
            pair: Number of the pair of anchors.
            number: The window, or the front block that the layer was made for.
        """
        place = [pair, number]
        if self.stage_in_names:
            place.insert(0, list(self.stages).index(stage))
        return f"stitch_layers.{'.'.join(map(str, place))}"


_SWIN = "swin_{}_patch4_window7_224"
_DEIT = "deit_{}_patch16_224"
_SIZES = ("tiny", "small", "base")
_CROP = 224 / 256
"""What the evaluation of DeiT, LeViT and Swin crops, on whose code the authors' is built; timm records 0.9 for all.

Source: `build_transform` in https://github.com/facebookresearch/deit, https://github.com/facebookresearch/LeViT
(`datasets.py`) and https://github.com/microsoft/Swin-Transformer (`data/build.py`).
"""

FAMILIES = {
    family.name: family
    for family in (
        PublishedFamily(
            "deit_ti_s_b",
            tuple(map(_DEIT.format, _SIZES)),
            (as_in_timm,) * 3,
            stages=(0,),
            stage_in_names=False,
            norm_on_stitched=False,
            crop_pct=_CROP,
        ),
        PublishedFamily(
            "swin_ti_s_b", tuple(map(_SWIN.format, _SIZES)), (swin_name,) * 3, stages=(0, 1, 2), crop_pct=_CROP
        ),
        PublishedFamily("resnet18_50", ("resnet18", "resnet50"), (as_in_timm,) * 2, stages=(1, 2), convolutions=True),
        PublishedFamily(
            "resnet18_swin_ti",
            ("resnet18", _SWIN.format("tiny")),
            (as_in_timm, swin_name),
            stages=(1, 2),
            convolutions=True,
        ),
        PublishedFamily("levit_192_256", ("levit_192", "levit_256"), (levit_name,) * 2, stages=(0, 1), crop_pct=_CROP),
    )
}
"""Every published network by name."""


def find_family(name: str) -> PublishedFamily:
    """Return the published network of a name.

    Raises:
        CheckpointError: If there is none; the message lists the names there are.
    """
    if name not in FAMILIES:
        raise CheckpointError(
            f"Unknown family {name!r} of published networks; accepted: {', '.join(FAMILIES)}."
            f"{did_you_mean(name, FAMILIES)}"
        )
    return FAMILIES[name]
