import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import SpaceError
from snnet.space import Cut, Segment, Stitch, StitchSpace, check_route

DEPTHS = [[2, 3], [6], [4, 2]]


@st.composite
def routes(draw: st.DrawFn, depths: list[list[int]] = DEPTHS) -> Stitch:
    """Any route: cuts in either direction and skips."""
    blocks = [sum(stages) for stages in depths]
    anchor = draw(st.integers(0, len(blocks) - 1))
    segments, start = [], 0
    for _ in range(draw(st.integers(0, 3))):
        stop = draw(st.integers(start + 1, blocks[anchor]))
        ways = [(b, k) for b, most in enumerate(blocks) for k in range(most) if b != anchor or k > stop]
        if not ways:
            break
        segments.append(Segment(anchor, start, stop))
        anchor, start = draw(st.sampled_from(ways))
    return Stitch((*segments, Segment(anchor, start, blocks[anchor])))


@given(st.lists(routes(), max_size=8))
def test_a_space_of_any_routes(found: list[Stitch]) -> None:
    space = StitchSpace.through(DEPTHS, found)
    assert [stitch.id for stitch in space[:3]] == ["0:0-5", "1:0-6", "2:0-6"]
    assert set(space) == {*space[:3], *found} and len(set(space)) == len(space)
    assert StitchSpace.from_config(space.to_config()) == space
    assert len({layer.name for layer in space.layers}) == len(space.layers)
    for stitch in space:
        for number, (cut, after) in enumerate(zip(stitch.cuts, stitch.beginnings, strict=True)):
            layer = space.layer_of(cut, after)
            assert layer.cuts == (cut,) and layer.after in (None, after)
            # Layers behind a beginning serve it alone; the first of a route serves its cut behind whatever comes.
            assert (layer.after is None) == (number == 0)


@given(st.lists(routes(), min_size=1, max_size=8), st.data())
def test_what_is_left_of_a_space_has_the_layers_that_it_uses(found: list[Stitch], data: st.DataObject) -> None:
    space = StitchSpace.through(DEPTHS, found)
    kept = data.draw(st.sets(st.sampled_from(list(space)), min_size=1))
    part = space.where(lambda stitch: stitch in kept)
    assert part.layers == StitchSpace.through(DEPTHS, part).layers or set(part.layers) == {
        space.layer_of(*hop) for stitch in part for hop in zip(stitch.cuts, stitch.beginnings, strict=True)
    }


def test_routes_that_begin_alike_share_layers_up_to_there() -> None:
    space = StitchSpace.through([[12], [12]], map(Stitch, ["1:0-3,1:5-8,0:9-12", "1:0-3,1:5-7,0:9-12", "1:0-7,0:9-12"]))
    assert [(layer.name, layer.after) for layer in space.layers] == [
        ("at_1_0_3_1_5", None),
        ("at_1_0_3_1_5_8_0_9", "1:0-3,1:5-8"),
        ("at_1_0_3_1_5_7_0_9", "1:0-3,1:5-7"),
        ("at_1_0_7_0_9", None),
    ]
    assert space.layer_of(Cut(1, 6, 0, 9), "1:0-3,1:5-7") == space.layers[2]
    assert space.layer_of(Cut(1, 6, 0, 9)) == space.layer_of(Cut(1, 6, 0, 9), "1:0-1,1:4-7") == space.layers[3]
    with pytest.raises(SpaceError, match=r"makes the cut 1:7->0:9 after 1:0-8\."):
        space.layer_of(Cut(1, 7, 0, 9), "1:0-8")


@pytest.mark.parametrize(
    ("route", "words"), [("3:0-5", "leaves the anchors"), ("0:0-9", "leaves the"), ("0:0-4", "ends before .* block 4")]
)
def test_routes_of_other_anchors_are_refused(route: str, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        check_route(Stitch(route), DEPTHS)
    with pytest.raises(SpaceError, match=words):
        StitchSpace.through(DEPTHS, [Stitch(route)])
