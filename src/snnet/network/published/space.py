"""The space of a published network: our stitches in our order, with its own sharing of stitching layers."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from snnet.space import LayerSpec, StitchSpace


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


def layer_number(layer: LayerSpec) -> int:
    """Return which layer of its stage and pair of anchors this is: the last number of its name."""
    return int(layer.name.rpartition("_")[2])


def _deal_out(layers: Sequence[LayerSpec], front_depth: int, back_depth: int) -> Iterator[LayerSpec]:
    first = layers[0]
    cuts = enumerate(cut for layer in layers for cut in layer.cuts)
    for number, group in groupby(cuts, key=lambda numbered: numbered[0] * front_depth // back_depth):
        name = f"stage{first.stage}_{first.front}to{first.back}_{number}"
        yield LayerSpec(name, first.front, first.back, first.stage, tuple(cut for _, cut in group))
