"""From a name, a file or a built model to an anchor."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import load_state_dict
from torch import nn

from snnet.anchors.anchor import ANCHORS, Anchor, AnchorSource, sample_images
from snnet.anchors.generic import GenericAnchor, is_timm_model
from snnet.anchors.models import MODELS, build_own_model
from snnet.anchors.offline import offline_source
from snnet.errors import AnchorError, CheckpointError, did_you_mean

AnchorLike = str | AnchorSource | nn.Module
"""A timm name, `hf-hub:ORG/NAME`, `NAME@FILE`, an `AnchorSource`, a built model, or an `Anchor`."""


def load_anchor(
    source: AnchorLike, *, pretrained: bool = False, num_classes: int | None = None, **kwargs: Any
) -> Anchor:
    """Return the anchor that `source` stands for.

    Args:
        source: A timm model name, or one filed in `MODELS`; `hf-hub:ORG/NAME`; `NAME@FILE` for a local `.safetensors`
            or `.pth` checkpoint; an `AnchorSource`; a built model; or an anchor, which is returned as it is.
        pretrained: Load the published weights of names without a file.
        num_classes: Replace the classifier of a model that is named by a fresh one of this width.
        kwargs: Further arguments of `timm.create_model`.

    Raises:
        AnchorError: If the name is unknown, its weights cannot be had, no registered family knows the model, or a
            built model has other than `num_classes` classes.
        CheckpointError: If a checkpoint file is missing, corrupt, or of another architecture.
    """
    if isinstance(source, nn.Module):
        anchor = source if isinstance(source, Anchor) else _view(source, _name_of(source), None)
        _check_count(anchor, num_classes)
        return anchor
    if isinstance(source, str):
        source = _parse(source, pretrained)
    if not isinstance(source, AnchorSource):
        raise AnchorError(
            f"{source!r} is no anchor; accepted: a timm name, hf-hub:ORG/NAME, NAME@FILE, an AnchorSource, a built "
            "model or an anchor, each by itself and not in a list."
        )
    source = replace(source, kwargs=(*source.kwargs, *kwargs.items()))
    final = source
    if num_classes is not None:
        final = replace(source, kwargs=(*source.kwargs, ("num_classes", num_classes)))
    name = source.name or source.model
    if source.checkpoint is None:
        model = build_model(final)
        return _view(model, name, offline_source(final, model))
    # The file holds its own classifier, which is replaced only once all of it has been read.
    model = build_model(source)
    anchor = _view(model, name, offline_source(final, model))
    load_checkpoint(anchor.model, source.checkpoint)
    if num_classes not in (None, anchor.num_classes):
        replace_classifier(anchor, num_classes)
    return anchor


def replace_classifier(anchor: Anchor, num_classes: int) -> None:
    """Give an anchor's model a fresh classifier.

    Raises:
        AnchorError: If the model has no `reset_classifier`, as timm's have.
    """
    reset = getattr(anchor.model, "reset_classifier", None)
    if reset is None:
        raise AnchorError(
            f"{anchor.name} has {anchor.num_classes} classes and cannot get a classifier for {num_classes}: give "
            f"{type(anchor.model).__name__} a method reset_classifier(num_classes), or build it with {num_classes}."
        )
    reset(num_classes)


def _check_count(anchor: Anchor, num_classes: int | None) -> None:
    if num_classes not in (None, anchor.num_classes):
        raise AnchorError(
            f"{anchor.name} is a built model of {anchor.num_classes} classes, and num_classes={num_classes} replaces "
            f"only classifiers of models that are named; build it with {num_classes} classes."
        )


def build_model(source: AnchorSource) -> nn.Module:
    """Create the model that `source` names: one filed in `MODELS`, which may be an anchor, or one of timm's."""
    if source.model in MODELS.names():
        return build_own_model(source)
    _check_name(source.model)
    try:
        pretrained = source.pretrained and source.checkpoint is None
        return timm.create_model(source.model, pretrained=pretrained, **dict(source.kwargs))
    except (OSError, RuntimeError) as error:
        # huggingface_hub's errors of connection and of unknown repositories are OSErrors.
        # timm raises a FileNotFoundError without a message for a missing file.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise AnchorError(
            f"{source.model!r} could not be built: {reason} Without access to the hub, give a "
            f"local file as '{source.model}@PATH', or leave out pretrained weights."
        ) from error
    except TypeError as error:
        raise AnchorError(f"{source.model!r} does not take these settings: {error}") from error


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load a local checkpoint into `model`; nothing but tensors is read from the file.

    Raises:
        CheckpointError: If the file is missing or corrupt, or its names or shapes differ from the model's.
    """
    if not Path(path).is_file():
        raise CheckpointError(f"There is no checkpoint at {path}; give a .safetensors or .pth file.")
    try:
        state = load_state_dict(str(path), device="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise CheckpointError(f"{path} cannot be read as a checkpoint ({error}); copy or download it again.") from error
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit the model: {error}") from error


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


def _parse(text: str, pretrained: bool) -> AnchorSource:
    model, _, checkpoint = text.partition("@")
    if model.count("/") == 1 and ":" not in model:
        model = f"hf-hub:{model}"
    return AnchorSource(model, pretrained, checkpoint or None)


def _check_name(name: str) -> None:
    if ":" in name:
        return
    architecture, _, tag = name.partition(".")
    if timm.is_model(architecture):
        _check_tag(name, architecture, tag)
        return
    raise AnchorError(
        f"timm has no model named {name!r}; `timm.list_models()` lists all, and 'hf-hub:ORG/NAME' or 'NAME@FILE' "
        "take others. A model of your own is known once the file that registers it is imported: on the command line "
        f"--family-file FILE.{did_you_mean(name, [*MODELS.names(), *timm.list_models()])}"
    )


def _check_tag(name: str, architecture: str, tag: str) -> None:
    tagged = [known for known in timm.list_models(architecture, include_tags=True) if "." in known]
    if tag and tagged and name not in tagged:
        tags = [known.partition(".")[2] for known in tagged]
        raise AnchorError(
            f"timm has no weights {tag!r} of {architecture!r}; accepted: {', '.join(tags)}, or the name alone for the "
            f"usual ones.{did_you_mean(tag, tags)}"
        )


def _name_of(model: nn.Module) -> str:
    config = getattr(model, "pretrained_cfg", None) or {}
    return config.get("architecture") or type(model).__name__


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
        "modules with snnet.Anchor.from_modules, or subclass snnet.Anchor for it and register the class with "
        "@snnet.ANCHORS.register('name')."
    )
