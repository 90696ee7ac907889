"""Spaces of the published networks: which layer serves which cut, by hand."""

import pytest

from snnet.network.published import FAMILIES, published_space
from snnet.space import Cut, StitchSpace

DEPTHS = {
    "deit_ti_s_b": [[12]] * 3,
    "swin_ti_s_b": [[2, 2, 6, 2], [2, 2, 18, 2], [2, 2, 18, 2]],
    "resnet18_50": [[2, 2, 2, 2], [3, 4, 6, 3]],
    "resnet18_swin_ti": [[2, 2, 2, 2], [2, 2, 6, 2]],
    "levit_192_256": [[4, 4, 4]] * 2,
}
# For each stage and pair, the layer of every cut, by hand from the order in which the authors deal them out.
LAYERS = {
    "deit_ti_s_b": [[0] * 4 + [n for n in range(1, 11) for _ in range(3)]] * 2,
    "swin_ti_s_b": [[0], [0], [0], [0], [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5], list(range(17))],
    "resnet18_50": [[0, 0, 1], [0, 0, 0, 1, 1]],
    "resnet18_swin_ti": [[0], [0, 0, 0, 1, 1]],
    "levit_192_256": [[0, 1, 2], [0, 1, 2]],
}
COUNTS = {"deit_ti_s_b": 71, "swin_ti_s_b": 41, "resnet18_50": 10, "resnet18_swin_ti": 8, "levit_192_256": 8}


def space_of(family: str) -> StitchSpace:
    return published_space(DEPTHS[family], FAMILIES[family].stages)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_route_uses_the_layer_that_the_authors_trained_for_it(family: str) -> None:
    space = space_of(family)
    used: dict[tuple[int, int, int], list[int]] = {}
    for stitch in space.where(lambda stitch: not stitch.is_anchor):
        layer = space.layer_of(stitch.cuts[0])
        used.setdefault((layer.stage, layer.front, layer.back), []).append(int(layer.name.split("_")[-1]))
    assert list(used.values()) == LAYERS[family]
    assert len(space) == COUNTS[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_stitches_and_their_numbers_are_ours(family: str) -> None:
    ours = StitchSpace.build(DEPTHS[family], stages=FAMILIES[family].stages)
    published = space_of(family)
    assert published.stitches == ours.stitches
    assert (published == ours) == (family in ("deit_ti_s_b", "levit_192_256"))
    assert StitchSpace.from_config(published.to_config()) == published


def test_the_unpaired_stage_of_swin_is_dealt_out_as_documented() -> None:
    space = space_of("swin_ti_s_b")
    dealt = {(0, 1): 0, (0, 2): 0, (1, 3): 0, (1, 4): 1, (1, 5): 1, (2, 6): 1}
    for (leave, enter), number in dealt.items():
        assert space.layer_of(Cut(0, 4 + leave, 1, 4 + enter)).name == f"stage2_0to1_{number}"
