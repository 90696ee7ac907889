"""Models of users' own, known by name."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from snnet.anchors.anchor import Anchor, AnchorSource
from snnet.errors import AnchorError
from snnet.utils import Registry

Builder = Callable[..., nn.Module]
"""A function that builds a model, or an anchor made with `anchor_from_modules`, from keyword arguments."""

MODELS: Registry[Builder] = Registry("model", group="snnet.models")
"""Builders by name; a name filed here comes before timm's. `@MODELS.register("my_resnet20")` files one."""


def build_own_model(source: AnchorSource) -> nn.Module:
    """Call the builder that bears the name, with `pretrained` if it takes that.

    Raises:
        AnchorError: If it does not take the settings, or gives no module.
    """
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
