# Tested in tests/network/test_fold_norms.py.
"""Two small LeViTs for 32x32 grey images, known to timm by name; they come without weights."""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.levit import Levit

SMALL_LEVITS = ("levit_fm_small", "levit_fm_base")

_CFG: dict[str, Any] = {
    "input_size": (1, 32, 32),
    "fixed_input_size": True,
    "num_classes": 10,
    "mean": (0.2860,),
    "std": (0.3530,),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
    "first_conv": "stem.conv1.linear",
    "classifier": "head.linear",
}

default_cfgs = generate_default_cfgs(dict.fromkeys(SMALL_LEVITS, _CFG))


def _levit(variant: str, pretrained: bool, kwargs: dict[str, Any], **size: Any) -> Levit:
    common = {"img_size": 32, "in_chans": 1, "num_classes": 10, "stem_type": "s8", "key_dim": 16, "depth": (4, 4, 4)}
    return build_model_with_cfg(Levit, variant, pretrained, **{**common, **size, **kwargs})


@register_model
def levit_fm_small(pretrained: bool = False, **kwargs: Any) -> Levit:
    """LeViT for 32x32 grey images, widths 48 to 96, 4-4-4 blocks."""
    return _levit("levit_fm_small", pretrained, kwargs, embed_dim=(48, 72, 96), num_heads=(3, 4, 6))


@register_model
def levit_fm_base(pretrained: bool = False, **kwargs: Any) -> Levit:
    """LeViT for 32x32 grey images, widths 64 to 128, 4-4-4 blocks."""
    return _levit("levit_fm_base", pretrained, kwargs, embed_dim=(64, 96, 128), num_heads=(4, 6, 8))
