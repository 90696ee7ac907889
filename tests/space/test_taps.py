from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import SpaceError
from snnet.space import Stitch, StitchSpace, check_taps, own_tap, route_taps, tap_layers

PLAIN = [[12], [12], [12]]
STAGES = [[2, 2, 6, 2], [2, 2, 18, 2]]


def places(route: str, depths: list[list[int]], taps: int) -> list[tuple[int, int]]:
    return [(tap.anchor, tap.block) for _, tap in route_taps(Stitch(route), depths, taps)]


def test_a_plain_anchor_gives_maps_at_equal_steps_of_its_depth() -> None:
    assert places("2:0-12", PLAIN, 4) == [(2, 2), (2, 5), (2, 8), (2, 11)]
    assert places("0:0-10", [[10], [12]], 4) == [(0, 1), (0, 4), (0, 6), (0, 9)]
    assert [own_tap(PLAIN, 4, number) for number in range(4)] == [2, 5, 8, 11]


def test_a_hierarchical_anchor_gives_its_last_stages() -> None:
    assert places("1:0-24", STAGES, 4) == [(1, 1), (1, 3), (1, 21), (1, 23)]
    assert places("1:0-24", STAGES, 2) == [(1, 21), (1, 23)]
    assert [own_tap(STAGES, 3, number) for number in range(3)] == [3, 21, 23]


def test_a_route_gives_the_maps_of_the_anchors_that_it_runs_there() -> None:
    assert places("0:0-5,1:6-12", PLAIN, 4) == [(0, 2), (0, 4), (1, 8), (1, 11)]
    assert places("0:0-6,1:5-12", PLAIN, 4) == [(0, 2), (1, 5), (1, 8), (1, 11)]
    assert places("0:0-7,1:16-24", STAGES, 4) == [(0, 1), (0, 3), (1, 21), (1, 23)]


def test_a_stage_whose_last_blocks_are_left_out_gives_its_last_block_that_runs() -> None:
    assert places("1:0-3,1:4-24", STAGES, 4) == [(1, 1), (1, 2), (1, 21), (1, 23)]


def test_a_block_that_comes_twice_gives_a_map_where_it_belongs() -> None:
    route = Stitch("0:0-8,1:4-12")
    assert [place for place, _ in route_taps(route, PLAIN, 4)] == sorted(p for p, _ in route_taps(route, PLAIN, 4))


def test_layers_lead_to_the_map_of_the_largest_anchor() -> None:
    space = StitchSpace.through(PLAIN[:2], [Stitch("0:0-5,1:6-12")])
    layers = {layer.name: str(layer.cuts[0]) for layer in tap_layers(space.stitches, space.depths, 4)}
    assert layers == {
        "tap0_0_2": "0:2->1:3",
        "tap1_0_4": "0:4->1:6",
        "tap1_0_5": "0:5->1:6",
        "tap2_0_8": "0:8->1:9",
        "tap3_0_11": "0:11->1:12",
    }


@pytest.mark.parametrize(
    ("depths", "taps", "message"),
    [
        (PLAIN, 13, "taps=13 of an anchor with 12 blocks; give a number from 1 to 12"),
        (STAGES, 5, "taps=5 of an anchor with 4 stages; give a number from 1 to 4"),
        (PLAIN, 0, "taps=0"),
        (PLAIN, True, "taps=True"),
        ([[2, 2], [2, 2, 2]], 2, "anchor 0 has 2 and the largest 3"),
    ],
)
def test_maps_that_there_are_not(depths: list[list[int]], taps: int, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        check_taps(depths, taps)


@given(st.lists(st.integers(1, 14), min_size=2, max_size=3), st.integers(1, 6), st.data())
def test_maps_come_in_order_and_the_last_from_the_last_block(depths: list[int], taps: int, data: st.DataObject) -> None:
    space = [[depth] for depth in depths]
    front, back = data.draw(st.sampled_from([(0, 1), (1, 0), (0, len(depths) - 1)]))
    leave = data.draw(st.integers(0, depths[front] - 1))
    enter = data.draw(st.integers(1, depths[back])) - 1
    route = Stitch(f"{front}:0-{leave + 1},{back}:{enter}-{depths[back]}")
    found = route_taps(route, space, taps)
    assert all(one <= other for (one, _), (other, _) in pairwise(found))
    assert [tap.number for _, tap in found] == list(range(taps))
    # A route that goes back in relative depth gives its first maps before it does.
    if (leave + 1) / depths[front] <= (enter + 1) / depths[back]:
        assert (found[-1][1].anchor, found[-1][1].block) == (back, depths[back] - 1)
