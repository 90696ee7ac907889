"""The anchors that come with the package, known to timm by name: small models for 28x28 grey images."""

from importlib.resources import files
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnet import BasicBlock, ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer import checkpoint_filter_fn as fit_swin_weights
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer import checkpoint_filter_fn as fit_vit_weights
from torch import nn

EMBEDDED_FAMILIES = {
    "vit": ("vit_fm_tiny", "vit_fm_small", "vit_fm_base"),
    "cnn": ("resnet_fm_small", "resnet_fm_base"),
    "swin": ("swin_fm_tiny", "swin_fm_small", "swin_fm_base"),
    "cnn-vit": ("resnet_fm_small", "swin_fm_base"),
}
"""Families of models trained on Fashion-MNIST, each from the cheapest anchor to the largest."""

EMBEDDED_ANCHORS = tuple(dict.fromkeys(name for family in EMBEDDED_FAMILIES.values() for name in family))
"""All models that come with the package."""

_FIRST_CONV = {"vit": "patch_embed.proj", "resnet": "conv1", "swin": "patch_embed.proj"}
_CLASSIFIER = {"vit": "head", "resnet": "fc", "swin": "head.fc"}


def _cfg(name: str) -> dict[str, Any]:
    kind = name.partition("_")[0]
    return {
        "file": str(files("snnet") / "assets" / "anchors" / f"{name}.safetensors"),
        "input_size": (1, 28, 28),
        "fixed_input_size": kind != "resnet",
        "num_classes": 10,
        "mean": (0.2860,),
        "std": (0.3530,),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "first_conv": _FIRST_CONV[kind],
        "classifier": _CLASSIFIER[kind],
        "license": "mit",
    }


default_cfgs = generate_default_cfgs({f"{name}.fashion_mnist": _cfg(name) for name in EMBEDDED_ANCHORS})


def _vit(variant: str, pretrained: bool, kwargs: dict[str, Any], **size: int) -> VisionTransformer:
    common = {
        "img_size": 28,
        "patch_size": 7,
        "in_chans": 1,
        "num_classes": 10,
        "depth": 12,
        "pretrained_filter_fn": fit_vit_weights,
    }
    return build_model_with_cfg(VisionTransformer, variant, pretrained, **{**common, **size, **kwargs})


class _SmallResNet(ResNet):
    """A ResNet that begins with a 3x3 convolution in place of a 7x7 one; 28x28 images leave maps of 7, 4, 2 and 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        wide = self.get_submodule("conv1")
        assert isinstance(wide, nn.Conv2d)
        self.set_submodule("conv1", nn.Conv2d(wide.in_channels, wide.out_channels, 3, stride=2, padding=1, bias=False))
        self.init_weights()


def _resnet(variant: str, pretrained: bool, kwargs: dict[str, Any], **size: Any) -> ResNet:
    common = {"block": BasicBlock, "stem_width": size["channels"][0], "in_chans": 1, "num_classes": 10}
    return build_model_with_cfg(_SmallResNet, variant, pretrained, **{**common, **size, **kwargs})


def _swin(variant: str, pretrained: bool, kwargs: dict[str, Any], **size: Any) -> SwinTransformer:
    common = {
        "img_size": 28,
        "patch_size": 4,
        "window_size": 7,
        "num_heads": (2, 4, 8, 16),
        "in_chans": 1,
        "num_classes": 10,
        "drop_path_rate": 0.0,
        "pretrained_filter_fn": fit_swin_weights,
    }
    return build_model_with_cfg(SwinTransformer, variant, pretrained, **{**common, **size, **kwargs})


@register_model
def vit_fm_tiny(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Plain ViT for 28x28 grey images, patch 7, width 60."""
    return _vit("vit_fm_tiny", pretrained, kwargs, embed_dim=60, num_heads=2)


@register_model
def vit_fm_small(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Plain ViT for 28x28 grey images, patch 7, width 96."""
    return _vit("vit_fm_small", pretrained, kwargs, embed_dim=96, num_heads=3)


@register_model
def vit_fm_base(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Plain ViT for 28x28 grey images, patch 7, width 128."""
    return _vit("vit_fm_base", pretrained, kwargs, embed_dim=128, num_heads=4)


@register_model
def resnet_fm_small(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """ResNet for 28x28 grey images, widths 8 to 64, 1-2-2-1 basic blocks."""
    return _resnet("resnet_fm_small", pretrained, kwargs, channels=(8, 16, 32, 64), layers=(1, 2, 2, 1))


@register_model
def resnet_fm_base(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """ResNet for 28x28 grey images, widths 16 to 112, 1-4-4-1 basic blocks."""
    return _resnet("resnet_fm_base", pretrained, kwargs, channels=(16, 32, 64, 112), layers=(1, 4, 4, 1))


@register_model
def swin_fm_tiny(pretrained: bool = False, **kwargs: Any) -> SwinTransformer:
    """Swin for 28x28 grey images, patch 4, widths 16 to 128, 2-2-3-1 blocks."""
    return _swin("swin_fm_tiny", pretrained, kwargs, embed_dim=16, depths=(2, 2, 3, 1))


@register_model
def swin_fm_small(pretrained: bool = False, **kwargs: Any) -> SwinTransformer:
    """Swin for 28x28 grey images, patch 4, widths 16 to 128, 2-2-6-1 blocks."""
    return _swin("swin_fm_small", pretrained, kwargs, embed_dim=16, depths=(2, 2, 6, 1))


@register_model
def swin_fm_base(pretrained: bool = False, **kwargs: Any) -> SwinTransformer:
    """Swin for 28x28 grey images, patch 4, widths 24 to 192, 2-2-6-1 blocks."""
    return _swin("swin_fm_base", pretrained, kwargs, embed_dim=24, depths=(2, 2, 6, 1))
