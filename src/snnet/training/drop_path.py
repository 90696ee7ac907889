"""Stochastic depth of anchors, which timm takes when it builds a model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from snnet.anchors import Anchor, load_anchor, rebuildable_source
from snnet.errors import RecipeError
from snnet.network import SNNet
from snnet.utils import counted


def drop_path_settings(rates: Sequence[float] | None, count: int) -> list[dict[str, Any]]:
    """Return what to give `timm.create_model` for each of `count` anchors.

    Args:
        rates: The probability of dropping the residual branches of an anchor's last block, to which it rises from 0
            at the first: one for all anchors, one for each, or None for what timm builds by default.
        count: Number of anchors.

    Raises:
        RecipeError: If there are neither one nor `count`.
    """
    if rates is None:
        return [{} for _ in range(count)]
    if len(rates) not in (1, count):
        raise RecipeError(
            f"network.drop_path has {counted(len(rates), 'rate')} for {counted(count, 'anchor')}; give one, or one for "
            "each."
        )
    return [{"drop_path_rate": rate} for rate in (rates if len(rates) == count else list(rates) * count)]


def with_drop_path(net: SNNet, rates: Sequence[float]) -> SNNet:
    """Return a network of the same weights whose anchors are built anew with other rates.

    Args:
        net: The network; it stays as it is.
        rates: One for all anchors or one for each, in their order.

    Raises:
        RecipeError: If the rates are another number, or an anchor cannot be built from a name.
        AnchorError: If the model of an anchor knows no stochastic depth.
    """
    each = drop_path_settings(rates, len(net.anchors))
    with torch.random.fork_rng():
        anchors = [_built_anew(net.anchor(number), settings) for number, settings in enumerate(each)]
        other = SNNet(anchors, net.space, **net.settings)
    other.load_state_dict(net.state_dict())
    other.table, other.classes = net.table, net.classes
    return other.train(net.training)


def _built_anew(anchor: Anchor, settings: dict[str, float]) -> Anchor:
    source = rebuildable_source(anchor)
    if source is None:
        raise RecipeError(
            f"network.drop_path cannot be set, for anchor {anchor.name!r} was a model of the user's own; build that "
            "with stochastic depth, and leave the setting out."
        )
    return load_anchor(replace(source, kwargs=(*source.kwargs, *settings.items())))
