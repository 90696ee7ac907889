"""Pretrained models seen as stem, stages of blocks, and head; the families by kind."""

from snnet.anchors import (  # noqa: F401  (importing registers them)
    beit,
    convolutional,
    embedded,
    eva,
    hiera,
    levit,
    metaformer,
    pvt,
    swin,
    vit,
    xcit,
)
from snnet.anchors.anchor import ANCHORS, Anchor, AnchorSource, BatchNorm, batch_norms, run_in_turn, sample_images
from snnet.anchors.build import MODELS, build_model, load_checkpoint
from snnet.anchors.embedded import EMBEDDED_ANCHORS, EMBEDDED_FAMILIES
from snnet.anchors.from_modules import anchor_from_modules
from snnet.anchors.images import Renormalize, input_spec
from snnet.anchors.load import AnchorLike, load_anchor, rebuildable_source, replace_classifier
from snnet.anchors.reading import read_tensors
from snnet.anchors.states import check_fit, check_tensors

__all__ = [
    "ANCHORS",
    "EMBEDDED_ANCHORS",
    "EMBEDDED_FAMILIES",
    "MODELS",
    "Anchor",
    "AnchorLike",
    "AnchorSource",
    "BatchNorm",
    "Renormalize",
    "anchor_from_modules",
    "batch_norms",
    "build_model",
    "check_fit",
    "check_tensors",
    "input_spec",
    "load_anchor",
    "load_checkpoint",
    "read_tensors",
    "rebuildable_source",
    "replace_classifier",
    "run_in_turn",
    "sample_images",
]
