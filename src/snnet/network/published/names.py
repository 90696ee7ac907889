"""What the published files call the tensors of a timm model; one function per architecture.

Each function takes a tensor's name in the state dict, or among the buffers, of timm's model of today.
"""

import re

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
