"""What the hub says about a model, kept so that the model can be built again without it."""

from typing import Any

from timm.models import filter_pretrained_cfg, parse_model_name
from torch import nn

from snnet.anchors.anchor import AnchorSource
from snnet.anchors.models import MODELS


def offline_source(source: AnchorSource, model: nn.Module) -> AnchorSource:
    """Return how to build a model of the hub, or of a local copy of its files, again without either.

    That is the architecture by timm's name, with the arguments and the record that the model's `config.json` gave;
    any other source is returned as it is.

    Args:
        source: What the model was built from.
        model: The built model, which holds what timm read.
    """
    if source.model in MODELS.names() or parse_model_name(source.model)[0] is None:
        return source
    record = filter_pretrained_cfg(model.pretrained_cfg, remove_source=True)
    saved: Any = model.pretrained_model_args
    kwargs = {**saved, **dict(source.kwargs), "pretrained_cfg": record}
    return AnchorSource(record["architecture"], kwargs=tuple(kwargs.items()), name=source.name or source.model)
