"""From a name, a file or a built model to an anchor."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from timm.models import filter_pretrained_cfg, parse_model_name
from torch import nn

from snnet.anchors.anchor import ANCHORS, Anchor, AnchorSource, sample_images
from snnet.anchors.build import MODELS, build_model, load_checkpoint
from snnet.anchors.generic import GenericAnchor, is_timm_model
from snnet.anchors.sizes import (
    Size,
    build_sized,
    check_resizable,
    check_runs,
    read_size,
    refuse_unless,
    resized,
    size_text,
    sized_source,
)
from snnet.errors import AnchorError
from snnet.utils import counted

AnchorLike = str | AnchorSource | nn.Module
"""A timm name, `hf-hub:ORG/NAME`, `NAME@FILE`, an `AnchorSource`, a built model, or an `Anchor`."""


def load_anchor(
    source: AnchorLike,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    image_size: int | Sequence[int] | None = None,
    **kwargs: Any,
) -> Anchor:
    """Return the anchor that `source` stands for.

    Args:
        source: A timm model name, or one filed in `MODELS`; `hf-hub:ORG/NAME`; `NAME@FILE` for a local `.safetensors`
            or `.pth` checkpoint; an `AnchorSource`; a built model; or an anchor, which is returned as it is.
        pretrained: Load the published weights of names without a file.
        num_classes: Replace the classifier of a model that is named by a fresh one of this width.
        image_size: Height and width, or one number for both, of the images that the model shall take; its own if None.
            Weights for images of another size are resampled, and a built model is copied for it.
        kwargs: Further arguments of `timm.create_model`.

    Raises:
        AnchorError: If the name is unknown, its weights cannot be had, no registered family knows the model, it
            has other than `num_classes` classes, or `image_size` is no size or none that it takes.
        CheckpointError: If a checkpoint file is missing, corrupt, or of another architecture.
    """
    size = None if image_size is None else read_size(image_size)
    if isinstance(source, nn.Module):
        record = getattr(source, "pretrained_cfg", None) or {}
        name = record.get("architecture") or type(source).__name__
        anchor = source if isinstance(source, Anchor) else _view(source, name, None)
        if num_classes not in (None, anchor.num_classes):
            raise AnchorError(
                f"{anchor.name} is a built model of {counted(anchor.num_classes, 'class')}, and "
                f"num_classes={num_classes} replaces only classifiers of models that are named; build it with "
                f"{counted(num_classes, 'class')}."
            )
    else:
        anchor = _named_anchor(_read_source(source, pretrained, kwargs), num_classes, size)
    return anchor if size is None else _resized_anchor(anchor, size)


def _read_source(source: str | AnchorSource, pretrained: bool, kwargs: Mapping[str, Any]) -> AnchorSource:
    if isinstance(source, str):
        model, _, checkpoint = source.partition("@")
        if model.count("/") == 1 and ":" not in model:
            model = f"hf-hub:{model}"
        source = AnchorSource(model, pretrained, checkpoint or None)
    if not isinstance(source, AnchorSource):
        raise AnchorError(
            f"{source!r} is no anchor; accepted: a timm name, hf-hub:ORG/NAME, NAME@FILE, an AnchorSource, a built "
            "model or an anchor, each by itself and not in a list."
        )
    return replace(source, kwargs=(*source.kwargs, *kwargs.items()))


def _named_anchor(source: AnchorSource, num_classes: int | None, size: Size | None) -> Anchor:
    usual, sized, own_size = None, source, source
    if size is not None:
        sized = sized_source(source, size)
        if source.checkpoint is not None and source.model not in MODELS.names():
            with torch.device("meta"):
                usual = build_model(source)
    final = sized
    if num_classes is not None:
        final, own_size = (
            replace(each, kwargs=(*each.kwargs, ("num_classes", num_classes))) for each in (sized, source)
        )
    # A file holds its own classifier, which is replaced only once all of it has been read.
    model = build_sized(final, own_size) if source.checkpoint is None else build_model(sized)
    anchor = _view(model, source.name or source.model, _offline_source(final, model))
    if source.checkpoint is not None:
        load_checkpoint(anchor.model, source.checkpoint, usual=usual)
        if num_classes not in (None, anchor.num_classes):
            replace_classifier(anchor, num_classes)
    return anchor


def _resized_anchor(anchor: Anchor, size: Size) -> Anchor:
    """Return an anchor for images of a height and width: this one, or a view of a copy with its weights resampled."""
    if size == anchor.input.size[1:]:
        return anchor
    model, name = anchor.model, anchor.name
    check_resizable(model, name, size)
    plain = copy.deepcopy(model).to("meta")
    refuse_unless(lambda size: check_runs(resized(plain, size), anchor.input.size[0], size), name, size, model)
    view = _view(resized(model, size), name, None)
    if (type(view), view.depths, view.input.size[1:]) != (type(anchor), anchor.depths, size):
        raise AnchorError(
            f"{name} takes images of {size_text(anchor.input.size[1:])} and cannot be made for {size_text(size)}: it "
            "is known by modules that were named, or by a class that does not read the size from its model. Build it "
            "for that size, or leave image_size out."
        )
    view.renormalize = anchor.renormalize
    if anchor.source is not None and _builds(source := sized_source(anchor.source, size), view):
        view.source = source
    return view


def _offline_source(source: AnchorSource, model: nn.Module) -> AnchorSource:
    """Return how to build a model of the hub, or of a local copy of its files, again without either.

    That is the architecture by timm's name, with the arguments and the record that the model's `config.json` gave;
    any other source is returned as it is.
    """
    if source.model in MODELS.names() or parse_model_name(source.model)[0] is None:
        return source
    record = filter_pretrained_cfg(model.pretrained_cfg, remove_source=True)
    saved: Any = model.pretrained_model_args
    kwargs = {**saved, **dict(source.kwargs), "pretrained_cfg": record}
    return AnchorSource(record["architecture"], kwargs=tuple(kwargs.items()), name=source.name or source.model)


def replace_classifier(anchor: Anchor, num_classes: int) -> None:
    """Give an anchor's model a fresh classifier.

    Raises:
        AnchorError: If the model has no `reset_classifier`, as timm's have.
    """
    reset = getattr(anchor.model, "reset_classifier", None)
    if reset is None:
        raise AnchorError(
            f"{anchor.name} has {counted(anchor.num_classes, 'class')} and cannot get a classifier for {num_classes}: "
            f"give {type(anchor.model).__name__} a method reset_classifier(num_classes), or build it with "
            f"{num_classes}."
        )
    reset(num_classes)


def rebuildable_source(anchor: Anchor) -> AnchorSource | None:
    """Return how to build the anchor's model again, proven by its forward pass; None if that is not known."""
    if anchor.source is not None:
        return replace(anchor.source, pretrained=False, checkpoint=None)
    size = anchor.input.size
    # Another image size than the usual one is an argument of timm's transformers, and in the record of its CNNs.
    sizes: list[dict[str, Any]] = [{}, {"img_size": size[1:]}, {"pretrained_cfg_overlay": {"input_size": size}}]
    for settings in sizes:
        source = AnchorSource.of(anchor.name, num_classes=anchor.num_classes, in_chans=size[0], **settings)
        if _builds(source, anchor):
            return source
    return None


def _builds(source: AnchorSource, anchor: Anchor) -> bool:
    """Tell whether a source gives the anchor's model, with the same blocks, input and forward pass."""
    try:
        rebuilt = _view(build_model(source), anchor.name, source)
        rebuilt.model.load_state_dict(anchor.model.state_dict())
    except (AnchorError, RuntimeError):
        return False
    # The same model may be cut into other blocks, and the same weights may expect other images than those that timm's
    # record of the name says; of another size, they may not even run.
    facts = [(type(each), each.depths, each.input) for each in (rebuilt, anchor)]
    if facts[0] != facts[1]:
        return False
    images = sample_images(anchor.input, 1)
    reference = copy.deepcopy(anchor.model).cpu().float().eval()
    with torch.no_grad():
        return torch.allclose(rebuilt.eval()(images), reference(images), rtol=1e-4, atol=1e-5)


def _view(model: nn.Module, name: str, source: AnchorSource | None) -> Anchor:
    if isinstance(model, Anchor):
        model.source = source
        return model
    if hasattr(model, "_orig_mod"):
        raise AnchorError(f"{name} was compiled, and hides its blocks; give the model as it was before torch.compile.")
    for family in reversed(ANCHORS.values()):
        if family.accepts(model):
            return family(model, name, source)
    if is_timm_model(model):
        return GenericAnchor(model, name, source)
    raise AnchorError(
        f"No anchor family knows {type(model).__module__}.{type(model).__name__} ({name}); accepted are timm's models, "
        f"and of these and others the families {', '.join(ANCHORS.names())}. Name its "
        "modules with snnet.anchor_from_modules, or subclass snnet.Anchor for it and register the class with "
        "@snnet.ANCHORS.register('name')."
    )
