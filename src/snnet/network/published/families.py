# Tested in tests/network/published/test_load.py.
"""Which networks were published: their anchors, stitched stages, and how their files name timm's tensors."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
        marks: Names of tensors that together only this network's file has.
        stage_in_names: Whether the names of stitching layers begin with the stage, counted from the first stitched.
        convolutions: Whether stitching weights are (out, in, 1, 1) in the file.
        norm_on_stitched: Whether stitched routes end with their last anchor's final norm.
        crop_pct: Share of the resized image that the authors' evaluation keeps; timm's record of the anchors if None.
    """

    name: str
    anchors: Sequence[str]
    names: Sequence[NameMap]
    stages: Sequence[int]
    marks: Sequence[str]
    stage_in_names: bool = True
    convolutions: bool = False
    norm_on_stitched: bool = True
    crop_pct: float | None = None

    def layer_name(self, stage: int, pair: int, number: int) -> str:
        """Return the published name of a stitching layer of a stage, a pair of anchors, and a window or front block."""
        place = [pair, number]
        if self.stage_in_names:
            place.insert(0, list(self.stages).index(stage))
        return f"stitch_layers.{'.'.join(map(str, place))}"


_LEVIT_STAGE = 10
"""Entries of LeViT's flat list per stage: four attentions and four MLPs in turns, then a subsampling and its MLP."""


def as_in_timm(name: str) -> str:
    """Return the name as it is: DeiT and ResNet agree."""
    return name


def swin_name(name: str) -> str:
    """Return Microsoft's name: patch merging stands at the end of the stage before, the classifier is `head`.

    Source: https://github.com/microsoft/Swin-Transformer, `models/swin_transformer.py`; timm of early 2023 agrees.
    The channels that patch merging concatenates have the same order in both.
    """
    name = re.sub(r"^layers\.(\d+)\.downsample\.", lambda match: f"layers.{int(match[1]) - 1}.downsample.", name)
    return re.sub(r"^head\.fc\.", "head.", name)


def levit_name(name: str) -> str:
    """Return Facebook's name: one flat list of blocks, `c` for the linear map before a norm, `l` for a classifier.

    Source: https://github.com/facebookresearch/LeViT, `levit.py`.
    """
    name = re.sub(r"^stem\.conv(\d+)\.", lambda match: f"patch_embed.{2 * int(match[1]) - 2}.", name)
    name = re.sub(r"^(head|head_dist)\.linear\.", r"\1.l.", name)
    name = re.sub(r"^stages\.(\d+)\.blocks\.(\d+)\.(attn|mlp)\.", _levit_block, name)
    name = re.sub(r"^stages\.(\d+)\.downsample\.(attn_downsample|mlp)\.", _levit_downsample, name)
    name = re.sub(r"\.ln(\d)\.", lambda match: f".{2 * int(match[1]) - 2}.", name)
    name = re.sub(r"\.(q|proj)\.ln\.", r".\1.1.", name)
    return re.sub(r"\.linear\.", ".c.", name)


def _levit_block(match: re.Match[str]) -> str:
    entry = _LEVIT_STAGE * int(match[1]) + 2 * int(match[2]) + (match[3] == "mlp")
    return f"blocks.{entry}.m."


def _levit_downsample(match: re.Match[str]) -> str:
    first = _LEVIT_STAGE * int(match[1]) - 2
    return f"blocks.{first + 1}.m." if match[2] == "mlp" else f"blocks.{first}."


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
            marks=("anchors.2.cls_token",),
            stage_in_names=False,
            norm_on_stitched=False,
            crop_pct=_CROP,
        ),
        PublishedFamily(
            "swin_ti_s_b",
            tuple(map(_SWIN.format, _SIZES)),
            (swin_name,) * 3,
            stages=(0, 1, 2),
            marks=("anchors.2.layers.0.downsample.norm.weight",),
            crop_pct=_CROP,
        ),
        PublishedFamily(
            "resnet18_50",
            ("resnet18", "resnet50"),
            (as_in_timm,) * 2,
            stages=(1, 2),
            marks=("anchors.1.layer1.0.conv3.weight",),
            convolutions=True,
        ),
        PublishedFamily(
            "resnet18_swin_ti",
            ("resnet18", _SWIN.format("tiny")),
            (as_in_timm, swin_name),
            stages=(1, 2),
            marks=("anchors.0.layer1.0.conv1.weight", "anchors.1.layers.0.downsample.norm.weight"),
            convolutions=True,
        ),
        PublishedFamily(
            "levit_192_256",
            ("levit_192", "levit_256"),
            (levit_name,) * 2,
            stages=(0, 1),
            marks=("anchors.1.patch_embed.0.c.weight",),
            crop_pct=_CROP,
        ),
    )
}
"""Every published network by name."""
