"""The ViT anchors that come with the package, known to timm by name."""

from importlib.resources import files
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer

EMBEDDED_ANCHORS = ("vit_fm_tiny", "vit_fm_small", "vit_fm_base")
"""ViTs of 12 blocks trained on Fashion-MNIST, from the cheapest to the dearest."""


def _cfg(name: str) -> dict[str, Any]:
    return {
        "file": str(files("snnet") / "assets" / "anchors" / f"{name}.safetensors"),
        "input_size": (1, 28, 28),
        "fixed_input_size": True,
        "num_classes": 10,
        "mean": (0.2860,),
        "std": (0.3530,),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "license": "mit",
    }


default_cfgs = generate_default_cfgs({f"{name}.fashion_mnist": _cfg(name) for name in EMBEDDED_ANCHORS})


def _create(variant: str, pretrained: bool, kwargs: dict[str, Any], **size: int) -> VisionTransformer:
    common = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "depth": 12}
    return build_model_with_cfg(VisionTransformer, variant, pretrained, **{**common, **size, **kwargs})


@register_model
def vit_fm_tiny(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Plain ViT for 28x28 grey images, patch 7, width 16."""
    return _create("vit_fm_tiny", pretrained, kwargs, embed_dim=16, num_heads=2)


@register_model
def vit_fm_small(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Plain ViT for 28x28 grey images, patch 7, width 24."""
    return _create("vit_fm_small", pretrained, kwargs, embed_dim=24, num_heads=2)


@register_model
def vit_fm_base(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Plain ViT for 28x28 grey images, patch 7, width 48."""
    return _create("vit_fm_base", pretrained, kwargs, embed_dim=48, num_heads=3)
