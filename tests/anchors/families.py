"""Tiny models of every anchor family, and what is true of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.hiera import Hiera
from timm.models.levit import Levit, LevitDistilled
from timm.models.metaformer import Attention, LayerNorm2dNoBias, LayerNormNoBias, MetaFormer, SepConv
from torch import nn

NUM_CLASSES = 5
Size = tuple[int, int, int]


def metaformer(pretrained_cfg_overlay: dict[str, Any], **options: Any) -> nn.Module:
    model = MetaFormer(**options)
    model.pretrained_cfg = pretrained_cfg_overlay
    return model


@dataclass(frozen=True)
class Family:
    """Variants of one family; what is said of depths, stages, channels, ways and decay holds for the first.

    Attributes:
        variants: Image size and options of each model; named after timm's, unless they say themselves what makes one.
        tiny: Options that all variants begin with.
        depths: Blocks per stage.
        stages: Those that are stitched by default.
        channels: Of the stem's output, and of the outputs of all blocks.
        way: Modules into a later stage, and the first block of that stage, which they belong to.
        undecayed: Names that the model itself excludes from weight decay.
        recomputed: Variants whose blocks are run again in the backward pass.
        published: Stitches of the full-size models of these names, the cheapest first.
        takes_size: Whether models take `img_size`; the others find it in timm's record.
        make: Makes a model of the options, where it is not timm by the variant's name.
    """

    variants: Mapping[str, tuple[Size, Mapping[str, Any]]]
    depths: tuple[int, ...]
    stages: tuple[int, ...]
    channels: tuple[int, ...]
    recomputed: tuple[str, ...]
    tiny: Mapping[str, Any] = field(default_factory=dict)
    way: tuple[tuple[str, ...], int] | None = None
    undecayed: frozenset[str] = frozenset()
    published: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    takes_size: bool = False
    make: Callable[..., nn.Module] | None = None

    def build(self, variant: str, **more: Any) -> nn.Module:
        """Build a variant with random weights, for its images and 5 classes."""
        size, options = self.variants[variant]
        sized = {"img_size": size[1:]} if self.takes_size else {"pretrained_cfg_overlay": {"input_size": size}}
        settings = {**self.tiny, **options, "in_chans": size[0], "num_classes": NUM_CLASSES, **sized, **more}
        make = settings.pop("make", self.make)
        model: nn.Module = make(**settings) if make else timm.create_model(variant, **settings)
        return model


def tables(*places: str) -> frozenset[str]:
    """Return the names of tables of biases by relative position."""
    return frozenset(f"{place}.relative_position_bias_table" for place in places)


VIT = Family(
    {
        "vit_tiny_patch16_224": ((1, 32, 32), {"patch_size": 8, "dynamic_img_size": True, "depth": 3}),
        "deit_tiny_patch16_224": ((3, 48, 32), {}),
        "deit_tiny_distilled_patch16_224": ((3, 48, 48), {}),
        "deit3_small_patch16_224": ((3, 48, 48), {}),
        "vit_small_patch8_224": ((3, 24, 32), {}),
        "vit_small_patch16_224.augreg_in21k": ((3, 48, 48), {}),
        "vit_small_patch14_reg4_dinov2": ((3, 42, 70), {}),
        "eva_large_patch14_196": ((3, 42, 42), {}),
        "vit_base_patch16_clip_224": ((3, 48, 48), {}),
        "vit_medium_patch16_gap_240": ((3, 48, 48), {}),
        "vit_base_patch16_siglip_224": ((3, 48, 48), {}),
    },
    tiny={"embed_dim": 24, "depth": 2, "num_heads": 2},
    takes_size=True,
    depths=(3,),
    stages=(0,),
    channels=(24,) * 4,
    undecayed=frozenset({"pos_embed", "cls_token", "reg_token", "dist_token"}),
    recomputed=("vit_tiny_patch16_224",),
    published={("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224"): 71},
)

BEIT = Family(
    {
        # As published: one bias per block, layer scale, mean pooling with its norm after it.
        "beit_base_patch16_224": ((3, 48, 64), {}),
        "beitv2_large_patch16_224": ((1, 48, 48), {}),
        "shared bias": (
            (3, 32, 48),
            {"make": Beit, "use_shared_rel_pos_bias": True, "use_abs_pos_emb": False, "init_values": 0.1},
        ),
        "both biases": ((3, 32, 48), {"make": Beit, "use_shared_rel_pos_bias": True, "use_rel_pos_bias": True}),
        "class token": (
            (3, 32, 48),
            {"make": Beit, "use_shared_rel_pos_bias": True, "global_pool": "token", "qkv_bias": False},
        ),
        "norm before pooling": (
            (3, 32, 48),
            {"make": Beit, "use_fc_norm": False, "swiglu_mlp": True, "scale_mlp": True},
        ),
    },
    tiny={"embed_dim": 24, "depth": 3, "num_heads": 2},
    takes_size=True,
    depths=(3,),
    stages=(0,),
    channels=(24,) * 4,
    undecayed=tables("blocks.0.attn", "blocks.1.attn", "blocks.2.attn") | {"cls_token", "pos_embed"},
    recomputed=("beit_base_patch16_224", "shared bias"),
    published={("beit_base_patch16_224", "beit_large_patch16_224"): 25},
)

EVA = Family(
    {
        "eva02_tiny_patch14_224": ((3, 56, 56), {}),
        "eva02_base_patch16_clip_224": ((3, 48, 64), {}),
        "no rotation": ((1, 42, 42), {"make": Eva, "patch_size": 14}),
        "vit_small_patch16_rope_224": ((3, 48, 80), {}),
        "vit_small_patch16_rope_ape_224": ((3, 64, 64), {"dynamic_img_size": True}),
        "vit_small_patch16_rope_mixed_224": ((3, 48, 80), {}),
        "vit_small_patch16_rope_mixed_ape_224": ((3, 48, 48), {"dynamic_img_size": True}),
        "vit_base_patch16_rope_reg1_gap_256": ((3, 64, 64), {}),
        "vit_small_patch16_dinov3": ((3, 64, 64), {}),
        "vit_small_patch16_dinov3_qkvb": ((3, 48, 64), {"dynamic_img_size": False}),
        "vit_pe_core_tiny_patch16_384": ((3, 64, 64), {}),
        "post-norm with mrope": (
            (3, 48, 48),
            {"make": Eva, "class_token": False, "use_post_norm": True, "init_values": 0.1, "use_rot_pos_emb": True}
            | {"rope_type": "mrope", "rope_mrope_section": (2, 4, 4)},
        ),
    },
    tiny={"embed_dim": 48, "depth": 3, "num_heads": 2},
    takes_size=True,
    depths=(3,),
    stages=(0,),
    channels=(48,) * 4,
    undecayed=frozenset({"pos_embed", "cls_token", "reg_token"}),
    recomputed=("eva02_tiny_patch14_224", "vit_small_patch16_rope_mixed_224"),
)

HIERA = Family(
    {
        # Grids 16x24, 8x12, 4x6, 2x3 of 2x3 mask units.
        "hiera_tiny_224": ((3, 64, 96), {}),
        "hiera_base_224": ((1, 64, 32), {}),
        # Positions within a mask unit, and others enlarged to the grid.
        "hiera_small_abswin_256": ((3, 96, 64), {"init_values": 0.1}),
        # Tokens end in the order of mask units; the last stage is wider and no smaller.
        "two poolings": (
            (3, 64, 96),
            {"make": Hiera, "q_pool": 2, "stages": (2, 2, 1, 2), "use_expand_proj": False},
        ),
    },
    tiny={"embed_dim": 8, "num_heads": 1, "stages": (1, 2, 3, 1), "head_init_scale": 1.0},
    takes_size=True,
    depths=(1, 2, 3, 1),
    stages=(1, 2),
    channels=(8, 8, 16, 16, 32, 32, 32, 64),
    undecayed=frozenset({"pos_embed"}),
    recomputed=("hiera_tiny_224",),
    published={("hiera_tiny_224", "hiera_small_224"): 13, ("hiera_base_224", "hiera_base_plus_224"): 20},
)

LEVIT = Family(
    {
        # Grids 7, 4, 2: of odd sides the larger half is kept.
        "two heads": ((3, 112, 112), {}),
        "one head": ((1, 64, 96), {"make": Levit}),
        "stride 8": ((3, 40, 40), {"stem_type": "s8", "act_layer": "silu"}),
        "convolutions": ((3, 64, 96), {"use_conv": True}),
    },
    tiny={"embed_dim": (16, 24, 32), "key_dim": 8, "num_heads": (2, 3, 4), "depth": (2, 3, 1)},
    takes_size=True,
    make=LevitDistilled,
    depths=(2, 3, 1),
    stages=(0, 1),
    channels=(16, 16, 16, 24, 24, 24, 32),
    way=(("stages.1.downsample",), 2),
    undecayed=frozenset(
        f"stages.{place}.attention_biases"
        for place in (
            *(f"{stage}.blocks.{block}.attn" for stage, depth in enumerate((2, 3, 1)) for block in range(depth)),
            *(f"{stage}.downsample.attn_downsample" for stage in (1, 2)),
        )
    ),
    recomputed=("two heads",),
    published={("levit_192", "levit_256"): 8},
)

SWIN = Family(
    {
        # Grids 14, 7, 4, 2: patch merging pads, and so do the windows.
        "swin_tiny_patch4_window7_224": ((3, 56, 56), {}),
        "swin_small_patch4_window7_224": ((1, 64, 96), {"window_size": 4}),
        "swin_s3_tiny_224": ((3, 64, 64), {"window_size": (4, 4, 2, 2)}),
        "swin_base_patch4_window12_384": ((3, 48, 48), {"window_size": 3, "dynamic_img_size": True}),
        "swinv2_tiny_window8_256": ((3, 64, 64), {"window_size": 4}),
        "swinv2_base_window12to16_192to256": ((3, 60, 64), {"window_size": 5}),
    },
    tiny={"embed_dim": 12, "depths": (2, 2, 3, 1), "num_heads": (1, 2, 2, 4)},
    takes_size=True,
    depths=(2, 2, 3, 1),
    stages=(0, 1, 2),
    channels=(12, 12, 12, 24, 24, 48, 48, 48, 96),
    way=(("layers.2.downsample",), 4),
    undecayed=tables(*(f"layers.{at}.blocks.{n}.attn" for at, depth in enumerate((2, 2, 3, 1)) for n in range(depth))),
    recomputed=("swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256"),
    published={tuple(f"swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base")): 41},
)

PVT = Family(
    {
        "pvt_v2_b0": ((3, 64, 96), {}),
        # Grids 15x16, 8x8, 4x4, 2x2: overlapping patches pad.
        "pvt_v2_b2": ((3, 60, 64), {}),
        "pvt_v2_b5": ((1, 64, 64), {}),
        "pvt_v2_b2_li": ((3, 64, 96), {}),
    },
    tiny={"embed_dims": (8, 16, 24, 32), "depths": (2, 2, 3, 1), "num_heads": (1, 2, 3, 4)},
    depths=(2, 2, 3, 1),
    stages=(0, 1, 2),
    channels=(8, 8, 8, 16, 16, 24, 24, 24, 32),
    way=(("stages.0.norm", "stages.1.downsample"), 2),
    recomputed=("pvt_v2_b0", "pvt_v2_b2_li"),
    published={
        ("pvt_v2_b0", "pvt_v2_b1"): 5,
        ("pvt_v2_b1", "pvt_v2_b2"): 12,
        ("pvt_v2_b2", "pvt_v2_b3"): 24,
    },
)

XCIT = Family(
    {
        "xcit_nano_12_p16_224": ((3, 48, 64), {}),
        "xcit_medium_24_p16_224": ((1, 48, 48), {"global_pool": "avg"}),
        "xcit_tiny_12_p8_224": ((3, 32, 24), {"use_pos_embed": False, "cls_attn_layers": 1}),
    },
    tiny={"embed_dim": 16, "depth": 3, "num_heads": 2},
    takes_size=True,
    depths=(3,),
    stages=(0,),
    channels=(16,) * 4,
    undecayed=frozenset({"cls_token", "pos_embed.token_projection.weight", "pos_embed.token_projection.bias"}),
    recomputed=("xcit_nano_12_p16_224",),
    published={("xcit_tiny_12_p16_224", "xcit_small_24_p16_224"): 25},
)

METAFORMER = Family(
    {
        "caformer": ((3, 64, 96), {}),
        "linear head": ((1, 60, 64), {"use_mlp_head": False, "layer_scale_init_values": 0.1}),
        # Between stages of equal width is nothing.
        "attention alone": (
            (3, 64, 64),
            {"token_mixers": Attention, "norm_layers": LayerNormNoBias, "dims": (8, 8, 16, 16)},
        ),
    },
    tiny={
        "dims": (8, 16, 24, 32),
        "depths": (2, 2, 3, 1),
        "head_dim": 8,
        "token_mixers": [SepConv, SepConv, Attention, Attention],
        "norm_layers": [LayerNorm2dNoBias] * 2 + [LayerNormNoBias] * 2,
    },
    make=metaformer,
    depths=(2, 2, 3, 1),
    stages=(0, 1, 2, 3),
    channels=(8, 8, 8, 16, 16, 24, 24, 24, 32),
    way=(("stages.2.downsample",), 4),
    recomputed=("caformer",),
    published={("caformer_s18", "caformer_s36"): 34},
)

CONVNEXT = Family(
    {
        "convnext_tiny": ((3, 64, 96), {}),
        "convnext_atto": ((3, 70, 101), {"conv_mlp": True}),
        "convnextv2_atto": ((3, 64, 64), {}),
        # A stem of two overlapping convolutions rounds up where patches round down.
        "convnext_atto_ols": ((3, 69, 70), {}),
        "convnext_base": ((1, 64, 64), {"head_norm_first": True}),
        "convnext_small": ((3, 64, 64), {"patch_size": 2, "head_hidden_size": 10}),
        "convnext_nano": ((3, 96, 80), {"output_stride": 16, "kernel_sizes": (7, 5, 5, 3)}),
        "convnext_pico": ((3, 48, 48), {"output_stride": 8}),
    },
    tiny={"dims": (8, 12, 16, 24), "depths": (1, 2, 3, 1)},
    depths=(1, 2, 3, 1),
    stages=(0, 1, 2),
    channels=(8, 8, 12, 12, 16, 16, 16, 24),
    way=(("stages.1.downsample",), 1),
    recomputed=("convnextv2_atto",),
)

RESNET = Family(
    {
        "resnet18": ((3, 64, 64), {}),
        "resnet50": ((1, 64, 64), {}),
        "resnet26t": ((3, 90, 58), {}),
        "resnet50d": ((4, 33, 47), {}),
        "resnext50_32x4d": ((3, 64, 64), {"channels": (16, 32, 32, 32)}),
        "wide_resnet50_2": ((3, 64, 64), {}),
        "seresnext26d_32x4d": ((3, 64, 64), {"channels": (16, 32, 32, 32)}),
        "ecaresnet26t": ((3, 64, 64), {}),
        "resnet50c": ((3, 64, 64), {}),
        "resnetrs50": ((3, 64, 64), {}),
        # Dilated stages keep their grid.
        "resnet34": ((3, 64, 64), {"output_stride": 8}),
    },
    tiny={"layers": (1, 2, 2, 1), "channels": (8, 12, 16, 32)},
    depths=(1, 2, 2, 1),
    stages=(1, 2),
    channels=(64, 8, 12, 12, 16, 16, 32),
    recomputed=("resnet18", "resnet50d"),
    published={("resnet18", "resnet50"): 10},
)

REGNET = Family(
    {
        "regnety_002": ((3, 64, 64), {}),
        "regnetx_002": ((2, 70, 45), {}),
        "regnetz_005": ((3, 64, 64), {}),
        "regnetv_040": ((3, 64, 64), {}),
    },
    depths=(1, 1, 4, 7),
    stages=(1, 2),
    channels=(32, 24, 56, *(152,) * 4, *(368,) * 7),
    recomputed=("regnetx_002",),
    # Stages of 1, 1, 4, 7 and of 1, 3, 6, 6 blocks: two forward cuts in the second, five in the third.
    published={("regnety_002", "regnety_004"): 2 + 2 + 5},
)

EFFICIENTNET = Family(
    {
        "efficientnet_b0": ((1, 75, 50), {}),
        "tf_efficientnetv2_b0": ((3, 64, 64), {}),
        "mobilenetv2_050": ((3, 64, 64), {}),
        "mixnet_s": ((3, 64, 64), {}),
        "mnasnet_small": ((3, 64, 64), {}),
    },
    depths=(1, 2, 2, 3, 3, 4, 1),
    stages=tuple(range(7)),
    channels=(32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, *(192,) * 4, 320),
    recomputed=("mobilenetv2_050",),
)

MOBILENETV3 = Family(
    {
        "lcnet_050": ((3, 64, 64), {}),
        "mobilenetv3_small_050": ((3, 64, 64), {}),
        "mobilenetv4_conv_small_035": ((3, 64, 64), {}),
    },
    depths=(1, 2, 2, 2, 4, 2),
    stages=tuple(range(6)),
    channels=(8, 16, 32, 32, 64, 64, 128, 128, *(128,) * 4, 256, 256),
    recomputed=("mobilenetv3_small_050",),
)

FAMILIES = {
    "vit": VIT,
    "beit": BEIT,
    "eva": EVA,
    "hiera": HIERA,
    "levit": LEVIT,
    "swin": SWIN,
    "pvt": PVT,
    "xcit": XCIT,
    "metaformer": METAFORMER,
    "convnext": CONVNEXT,
    "resnet": RESNET,
    "regnet": REGNET,
    "efficientnet": EFFICIENTNET,
    "mobilenetv3": MOBILENETV3,
}
"""By the name under which the family is filed in `ANCHORS`."""
