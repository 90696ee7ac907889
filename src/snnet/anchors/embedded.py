"""Small models for grey images, known to timm by name: the anchors of this package, and LeViTs without weights."""

from collections.abc import Callable
from importlib.resources import files
from itertools import chain
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.levit import Levit
from timm.models.resnet import BasicBlock, ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer import checkpoint_filter_fn as fit_swin_weights
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer import checkpoint_filter_fn as fit_vit_weights
from torch import nn

EMBEDDED_FAMILIES = {
    "vit": ("vit_fm_tiny", "vit_fm_small", "vit_fm_base"),
    "cnn": ("resnet_fm_tiny", "resnet_fm_base"),
    "swin": ("swin_fm_tiny", "swin_fm_base"),
    "cnn-vit": ("resnet_fm_tiny", "swin_fm_base"),
}
"""Families of models trained on Fashion-MNIST, each from the cheapest anchor to the largest."""

EMBEDDED_ANCHORS = tuple(
    dict.fromkeys([*chain.from_iterable(EMBEDDED_FAMILIES.values()), "resnet_fm_small", "swin_fm_small"])
)
"""All models that come with the package."""


class _SmallResNet(ResNet):
    """A ResNet that begins with a 3x3 convolution in place of a 7x7 one; 28x28 images leave maps of 7, 4, 2 and 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        wide = self.get_submodule("conv1")
        assert isinstance(wide, nn.Conv2d)
        self.set_submodule("conv1", nn.Conv2d(wide.in_channels, wide.out_channels, 3, stride=2, padding=1, bias=False))
        self.init_weights()


_KINDS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "vit": (VisionTransformer, {"img_size": 28, "patch_size": 7, "depth": 12, "pretrained_filter_fn": fit_vit_weights}),
    "resnet": (_SmallResNet, {"block": BasicBlock}),
    "swin": (
        SwinTransformer,
        {
            "img_size": 28,
            "patch_size": 4,
            "window_size": 7,
            "num_heads": (2, 4, 8, 16),
            "drop_path_rate": 0.0,
            "pretrained_filter_fn": fit_swin_weights,
        },
    ),
    "levit": (Levit, {"img_size": 32, "stem_type": "s8", "key_dim": 16, "depth": (4, 4, 4)}),
}
_SIZES: dict[str, dict[str, Any]] = {
    "vit_fm_tiny": {"embed_dim": 60, "num_heads": 2},
    "vit_fm_small": {"embed_dim": 96, "num_heads": 3},
    "vit_fm_base": {"embed_dim": 128, "num_heads": 4},
    "resnet_fm_tiny": {"channels": (6, 12, 24, 48), "layers": (1, 2, 2, 1), "stem_width": 6},
    "resnet_fm_small": {"channels": (8, 16, 32, 64), "layers": (1, 2, 2, 1), "stem_width": 8},
    "resnet_fm_base": {"channels": (16, 32, 64, 112), "layers": (1, 4, 4, 1), "stem_width": 16},
    "swin_fm_tiny": {"embed_dim": 16, "depths": (2, 2, 3, 1)},
    "swin_fm_small": {"embed_dim": 16, "depths": (2, 2, 6, 1)},
    "swin_fm_base": {"embed_dim": 24, "depths": (2, 2, 6, 1)},
    "levit_fm_small": {"embed_dim": (48, 72, 96), "num_heads": (3, 4, 6)},
    "levit_fm_base": {"embed_dim": (64, 96, 128), "num_heads": (4, 6, 8)},
}
_FIRST_CONV = {"vit": "patch_embed.proj", "resnet": "conv1", "swin": "patch_embed.proj", "levit": "stem.conv1.linear"}
_CLASSIFIER = {"vit": "head", "resnet": "fc", "swin": "head.fc", "levit": "head.linear"}


def _cfg(name: str) -> dict[str, Any]:
    kind = name.partition("_")[0]
    weights = str(files("snnet") / "assets" / "anchors" / f"{name}.safetensors")
    return {
        **({"file": weights, "license": "mit"} if name in EMBEDDED_ANCHORS else {}),
        "input_size": (1, 32, 32) if kind == "levit" else (1, 28, 28),
        "fixed_input_size": kind != "resnet",
        "num_classes": 10,
        "mean": (0.2860,),
        "std": (0.3530,),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "first_conv": _FIRST_CONV[kind],
        "classifier": _CLASSIFIER[kind],
    }


default_cfgs = generate_default_cfgs(
    {f"{name}.fashion_mnist" if name in EMBEDDED_ANCHORS else name: _cfg(name) for name in _SIZES}
)


def _builder(name: str) -> Callable[..., nn.Module]:
    """Return the function by which timm builds a model; it goes by the function's name."""
    kind, common = _KINDS[name.partition("_")[0]]

    def build(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        settings = {"in_chans": 1, "num_classes": 10, **common, **_SIZES[name], **kwargs}
        model: nn.Module = build_model_with_cfg(kind, name, pretrained, **settings)
        return model

    build.__name__ = name
    return build


for _name in _SIZES:
    register_model(_builder(_name))
