"""From a published file to a network: every tensor to its place, and not one left over."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from snnet.anchors import AnchorSource, check_fit, check_tensors, load_anchor, read_tensors
from snnet.errors import CheckpointError, did_you_mean
from snnet.network.network import SNNet
from snnet.network.published.families import FAMILIES, PublishedFamily
from snnet.network.restore import checked_device
from snnet.space import LayerSpec, StitchSpace


def load_published(path: str | Path, family: str, *, map_location: torch.device | str = "cpu") -> SNNet:
    """Read one of the networks that the authors of SN-Net published from their file; see `snnet.load`.

    Raises:
        CheckpointError: If there is no such family, the file cannot be read, or its names or shapes are not that
            network's; the message names them.
    """
    if family not in FAMILIES:
        raise CheckpointError(
            f"Unknown family {family!r} of published networks; accepted: {', '.join(FAMILIES)}."
            f"{did_you_mean(family, FAMILIES)}"
        )
    place, published = checked_device(map_location), FAMILIES[family]
    state = read_tensors(path)
    net = build_published(published)
    fill(net, published, state, path)
    return net.to(place).eval()


def recognized_family(path: str | Path) -> str | None:
    """Return which published network a file holds, by the names of its tensors; None if it is none or unreadable."""
    try:
        state = read_tensors(path)
    except CheckpointError:
        return None
    return next((name for name, family in FAMILIES.items() if all(mark in state for mark in family.marks)), None)


def build_published(published: PublishedFamily) -> SNNet:
    """Build a published network with random weights: its anchors, its space, and its own end of stitched routes."""
    crop = published.crop_pct
    record = () if crop is None else (("pretrained_cfg_overlay", {"crop_pct": crop}),)
    anchors = [load_anchor(AnchorSource(name, kwargs=record)) for name in published.anchors]
    space = published_space([anchor.depths for anchor in anchors], published.stages)
    return SNNet(anchors, space, norm_on_stitched=published.norm_on_stitched)


def fill(net: SNNet, published: PublishedFamily, state: Mapping[str, Tensor], origin: str | Path) -> None:
    """Copy every tensor of a published state dict to its place in the network that `build_published` built.

    Raises:
        CheckpointError: If names or shapes are not that network's; nothing has been copied then.
    """
    places = published_names(net, published)
    _check(state, net, published, places, origin)
    tensors = net.state_dict()
    known = {**dict(net.named_buffers()), **tensors}
    whole = {name for name, own in places.items() if not known[own].is_floating_point()}
    check_tensors(state, origin, whole=whole)
    with torch.no_grad():
        for name, own in places.items():
            # What is not in our state dict, masks and position indices, was computed when the model was built.
            if own in tensors:
                tensors[own].copy_(state[name].reshape(tensors[own].shape))


def published_names(net: SNNet, published: PublishedFamily) -> dict[str, str]:
    """Return the published name of every tensor that a file may hold, with our name for it.

    Among them are buffers that our state dict leaves out, since the models compute them.
    """
    places = {}
    for number, rename in enumerate(published.names):
        model = net.anchor(number).model
        for name in {**model.state_dict(), **dict(model.named_buffers())}:
            places[f"anchors.{number}.{rename(name)}"] = f"anchors.{number}.model.{name}"
    for layer in net.space.layers:
        # Pairs are neighbors, so the front anchor's number is the pair's.
        number = int(layer.name.rpartition("_")[2])
        name = published.layer_name(layer.stage, layer.front, number)
        for part in ("weight", "bias"):
            places[f"{name}.transform.{part}"] = f"layers.{layer.name}.transform.{part}"
    return places


def _check(
    state: Mapping[str, Tensor], net: SNNet, published: PublishedFamily, places: Mapping[str, str], path: str | Path
) -> None:
    own = net.state_dict()
    # Buffers that the models compute may be missing; one that is there tells whether the file is of this network.
    known = {**dict(net.named_buffers()), **own}
    wanted = {name: _published_shape(known[place], place, published) for name, place in places.items()}
    optional = [name for name, place in places.items() if place not in own]
    check_fit(state, wanted, f"{path} is not the published network {published.name!r}", optional=optional)


def _published_shape(tensor: Tensor, place: str, published: PublishedFamily) -> tuple[int, ...]:
    convolution = published.convolutions and place.startswith("layers.") and place.endswith(".weight")
    return (*tensor.shape, 1, 1) if convolution else tuple(tensor.shape)


def published_space(depths: Sequence[Sequence[int]], stages: Sequence[int]) -> StitchSpace:
    """Return the default space with the layers of unpaired stages dealt out as the published networks do.

    There the n-th cut of a stage, n from 0 in the order of the space, uses layer `floor(n * L_a / L_b)` of the L_a
    layers, where L_a and L_b are the stage's depths in front and behind. The weights were trained so. Our own spaces
    give each cut the layer of the block that it leaves, which differs because no cut enters block 0.
    """
    space = StitchSpace.build(depths, stages=stages)
    layers: list[LayerSpec] = []
    for (stage, front, back), group in groupby(space.layers, key=lambda layer: (layer.stage, layer.front, layer.back)):
        front_depth, back_depth = depths[front][stage], depths[back][stage]
        ours = tuple(group)
        layers += ours if front_depth == back_depth else _deal_out(ours, front_depth, back_depth)
    return StitchSpace(space.depths, space.stitches, layers)


def _deal_out(layers: Sequence[LayerSpec], front_depth: int, back_depth: int) -> Iterator[LayerSpec]:
    first = layers[0]
    cuts = enumerate(cut for layer in layers for cut in layer.cuts)
    for number, group in groupby(cuts, key=lambda numbered: numbered[0] * front_depth // back_depth):
        name = f"stage{first.stage}_{first.front}to{first.back}_{number}"
        yield LayerSpec(name, first.front, first.back, first.stage, tuple(cut for _, cut in group))
