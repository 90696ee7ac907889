# Tested in tests/anchors/test_load.py.
"""From a source to a built model: by timm's name or one of `MODELS`, and its weights from a file."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
from torch import nn

from snnet.anchors.anchor import Anchor, AnchorSource
from snnet.anchors.reading import read_tensors
from snnet.anchors.resampling import resampled
from snnet.anchors.states import check_fit, check_tensors, without_prefix
from snnet.errors import AnchorError, did_you_mean
from snnet.utils import Registry

Builder = Callable[..., nn.Module]
"""A function that builds a model, or an anchor made with `anchor_from_modules`, from keyword arguments."""

MODELS: Registry[Builder] = Registry("model", group="snnet.models")
"""Builders by name; a name filed here comes before timm's. `@MODELS.register("my_resnet20")` files one."""


_STATES = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Where timm looks for the weights in a checkpoint."""


def build_model(source: AnchorSource) -> nn.Module:
    """Create the model that `source` names: one filed in `MODELS`, which may be an anchor, or one of timm's.

    Raises:
        AnchorError: If it cannot be built, does not take the settings, or is no module.
    """
    if source.model in MODELS.names():
        return _build_own_model(source)
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


def _build_own_model(source: AnchorSource) -> nn.Module:
    """Call the builder that bears the name, with `pretrained` if it takes that."""
    builder = MODELS.get(source.model)
    settings: dict[str, Any] = dict(source.kwargs)
    if isinstance(settings.get("image_size"), list):  # JSON, as which a saved network keeps it, knows no tuples
        settings["image_size"] = tuple(settings["image_size"])
    if "pretrained" in inspect.signature(builder).parameters:
        settings["pretrained"] = source.pretrained and source.checkpoint is None
    try:
        inspect.signature(builder).bind(**settings)
    except TypeError as error:
        raise AnchorError(f"{source.model!r} does not take these settings: {error}; add them to its builder.") from None
    built = builder(**settings)
    if not isinstance(built, nn.Module):
        raise AnchorError(
            f"The builder of {source.model!r} gives {type(built).__name__}; return a torch.nn.Module, or an anchor "
            "from snnet.anchor_from_modules."
        )
    if isinstance(built, Anchor):
        built.name, built.source = source.model, source
    return built


def load_checkpoint(model: nn.Module, path: str | Path, *, usual: nn.Module | None = None) -> None:
    """Load a local checkpoint into `model`; nothing but tensors is read from the file.

    Args:
        model: Gets the weights.
        path: The file.
        usual: The same architecture for the images that the weights were trained on, if these are of another size: what
            depends on it is resampled.

    Raises:
        AnchorError: If something cannot be resampled.
        CheckpointError: If the file is missing or corrupt, or its names or shapes differ from the model's.
    """
    own = model.state_dict()
    state = without_prefix(read_tensors(path, _STATES), own)
    if usual is not None:
        state = resampled(state, model, usual)
    check_fit(state, {name: tensor.shape for name, tensor in own.items()}, f"{path} does not fit the model")
    check_tensors(state, path, whole={name for name, tensor in own.items() if not tensor.is_floating_point()})
    model.load_state_dict(state, strict=True)


def _check_name(name: str) -> None:
    """Refuse a model or weights that timm does not know, with the near names."""
    if ":" in name:
        return
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise AnchorError(
            f"timm has no model named {name!r}; `timm.list_models()` lists all, and 'hf-hub:ORG/NAME' or 'NAME@FILE' "
            "take others. A model of your own is known once the file that registers it is imported: on the command "
            f"line --family-file FILE.{did_you_mean(name, [*MODELS.names(), *timm.list_models()])}"
        )
    tags = [known.partition(".")[2] for known in timm.list_models(architecture, include_tags=True) if "." in known]
    if tag and tags and tag not in tags:
        raise AnchorError(
            f"timm has no weights {tag!r} of {architecture!r}; accepted: {', '.join(tags)}, or the name alone for the "
            f"usual ones.{did_you_mean(tag, tags)}"
        )
