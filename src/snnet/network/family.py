# Tested in tests/network/test_network.py.
"""What anchors must have in common to be one network, and the layers that join them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import nn

from snnet.anchors import Anchor
from snnet.errors import AnchorError, SpaceError
from snnet.layers import StitchingLayer
from snnet.space import Cut, FeatureSpec, LayerSpec, StitchSpace
from snnet.utils import count_macs, evaluating

_NAMED_ONES = "all of them for one size: image_size=N (--image-size N)"


def anchor_macs(anchor: Anchor) -> int:
    """Count the multiply-adds of an anchor's own forward pass at batch 1."""
    # In training mode batch norm refuses a single image.
    with evaluating(anchor):
        return count_macs(anchor, torch.empty(1, *anchor.input.size, device="meta"))


def check_family(anchors: Sequence[Anchor], *, size: int | None = None, classifies: bool = True) -> None:
    """Refuse anchors that cannot make one network, with the two values named.

    Args:
        anchors: All anchors.
        size: An image size for which all of them can be built, if one is known.
        classifies: Whether routes end with the anchors' own heads, which must then know the same classes.

    Raises:
        AnchorError: If numbers of classes, class orders or image sizes differ, or there is no classifier.
    """
    which = f"all for one: image_size={size} (--image-size {size})" if size else _NAMED_ONES
    mended_by = {"image size": f", or build {which}"}
    facts: dict[str, Callable[[Anchor], Any]] = {"image size": lambda anchor: anchor.input.size}
    if classifies:
        facts = {"number of classes": lambda anchor: anchor.num_classes, **facts}
    for what, fact in facts.items():
        for anchor in anchors[1:]:
            if fact(anchor) != fact(anchors[0]):
                raise AnchorError(
                    f"{anchors[0].name} and {anchor.name} cannot be joined: the {what} is {fact(anchors[0])} in one "
                    f"and {fact(anchor)} in the other; choose models that agree{mended_by.get(what, '')}."
                )
    if not classifies:
        return
    _check_classes(anchors)
    for anchor in anchors:
        if anchor.num_classes < 1:
            raise AnchorError(
                f"{anchor.name} has no classifier; give every anchor one of N classes: num_classes=N (--num-classes N)."
            )


def usual_stages(anchors: Sequence[Anchor]) -> tuple[int, ...]:
    """Return the stages that are stitched by default: those that every anchor's family stitches by default.

    Raises:
        AnchorError: If anchors have other numbers of stages; the message pairs those with feature maps of one size.
    """
    first = anchors[0]
    other = next((anchor for anchor in anchors if len(anchor.depths) != len(first.depths)), None)
    if other is None:
        return tuple(n for n in first.stages if all(n in anchor.stages for anchor in anchors))
    groups = _stages_of_one_size(anchors)
    pairs = " ".join(":".join(map(str, group)) for group in groups)
    mend = (
        f"those with feature maps of one size are joined by stages={groups} (--stages {pairs})"
        if groups
        else "none have feature maps of one size in all of them; choose models that agree"
    )
    raise AnchorError(
        f"{first.name} and {other.name} cannot be joined as they are: the number of stages is {len(first.depths)} in "
        f"one and {len(other.depths)} in the other; {mend}."
    )


def _stages_of_one_size(anchors: Sequence[Anchor]) -> list[tuple[int, ...]]:
    """Return the stages whose feature maps have one size in all anchors, each as its number in each anchor."""
    grids = []
    for anchor in anchors:
        ends = accumulate(anchor.depths)
        grids.append({anchor.feature(end - 1).grid: stage for stage, end in enumerate(ends)})
    return [tuple(found[grid] for found in grids) for grid in grids[0] if all(grid in found for found in grids)]


def usual_taps(anchor: Anchor) -> int:
    """Return how many maps an anchor gives unless one says otherwise: of its last four sizes, or four of one size.

    Where several stages are of one size, as in EfficientNets, all of them are counted, for maps come from the last
    stages.
    """
    first = anchor.feature_info[-4:][0]["block"]
    stages = len(anchor.depths)
    return stages - anchor.place(first)[0] if stages > 1 else anchor.depth - first


def check_space(anchors: Sequence[Anchor], space: StitchSpace) -> None:
    """Refuse a space that has no stitch (SpaceError), or is of other anchors (AnchorError)."""
    if not len(space):
        raise SpaceError("The space has no stitches; loosen the filter that made it.")
    if [anchor.depths for anchor in anchors] != list(space.depths):
        raise AnchorError(
            f"The space is for depths {list(space.depths)} and the anchors have "
            f"{[anchor.depths for anchor in anchors]}; build the space from the anchors."
        )


def build_layers(
    anchors: Sequence[Anchor],
    specs: Sequence[LayerSpec],
    *,
    resample: bool,
    lora_rank: int | None = None,
    kept: Mapping[LayerSpec, StitchingLayer] | None = None,
) -> nn.ModuleDict:
    """Return stitching layers by name; those that are in `kept` as they are.

    Raises:
        AnchorError: As for `build_stitching_layer`.
    """
    given = {(spec.name, spec.after): (set(spec.cuts), layer) for spec, layer in (kept or {}).items()}
    layers = nn.ModuleDict()
    for spec in specs:
        cuts, layer = given.get((spec.name, spec.after), (set[Cut](), None))
        # One that serves more cuts serves these.
        layers[spec.name] = (
            layer
            if layer is not None and cuts.issuperset(spec.cuts)
            else build_stitching_layer(anchors, spec, resample=resample, lora_rank=lora_rank)
        )
    return layers


def ends_of(anchors: Sequence[Anchor], cut: Cut) -> tuple[FeatureSpec, FeatureSpec]:
    """Return the features in front of a cut and behind it."""
    return anchors[cut.front].feature(cut.leave), anchors[cut.back].feature(cut.enter - 1)


def build_stitching_layer(
    anchors: Sequence[Anchor], spec: LayerSpec, *, resample: bool, lora_rank: int | None = None
) -> StitchingLayer:
    """Return the layer that serves all cuts of `spec`.

    Raises:
        AnchorError: If its cuts join feature maps of different sizes, or the sizes in front and behind do not fit.
    """
    front, back = anchors[spec.front], anchors[spec.back]
    ends = {cut: ends_of(anchors, cut) for cut in spec.cuts}
    first = spec.cuts[0]
    for cut, pair in ends.items():
        if pair != ends[first]:
            raise AnchorError(
                f"{front.name} and {back.name} cannot share a stitching layer at {first} and {cut}: it maps "
                f"{' to '.join(map(str, ends[first]))} at one and {' to '.join(map(str, pair))} at the other."
            )
    try:
        return StitchingLayer(*ends[first], resample=resample, lora_rank=lora_rank)
    except AnchorError as error:
        raise AnchorError(f"{front.name} and {back.name} cannot be joined at {first}: {error}") from None


def _check_classes(anchors: Sequence[Anchor]) -> None:
    named = [anchor for anchor in anchors if anchor.class_names is not None]
    for anchor in named[1:]:
        first, other = named[0].class_names or (), anchor.class_names or ()
        for number, pair in enumerate(zip(first, other, strict=False)):
            if len(set(pair)) > 1:
                raise AnchorError(
                    f"{named[0].name} and {anchor.name} cannot be joined: class {number} is {pair[0]!r} in one and "
                    f"{pair[1]!r} in the other; choose models trained on the same classes in the same order."
                )
