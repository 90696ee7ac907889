from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.space import Step, StitchSpace, route_prefixes, uncut_anchor
from tests.helpers.routes import routes_of


def test_names_are_readable() -> None:
    steps = [
        Step("stem", 0),
        Step("block", 0, 0),
        Step("block", 0, 1),
        Step("stitch", 1, layer="stage0_0to1_0"),
        Step("block", 1, 3),
        Step("head without norm", 1),
    ]
    assert route_prefixes(steps) == (
        "0:stem",
        "0:0-1",
        "0:0-2",
        "0:0-2,stage0_0to1_0",
        "0:0-2,1:3-4",
        "0:0-2,1:3-4,bare-head",
    )


def test_a_beginning_is_cut_once_it_has_passed_a_stitching_layer() -> None:
    space = StitchSpace.build([(3,), (3,)], direction="both")
    for stitch, steps in routes_of(space).items():
        cut = False
        for step, prefix in zip(steps, route_prefixes(steps), strict=True):
            cut = cut or step.kind == "stitch"
            assert uncut_anchor(prefix) == (None if cut else steps[0].anchor), (stitch, prefix)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(2, 4), min_size=1, max_size=2),
    st.integers(2, 3),
    st.sampled_from(["fast-to-slow", "slow-to-fast", "both"]),
    st.booleans(),
)
def test_equal_names_are_equal_ways(depths: list[int], anchors: int, direction: str, nearest: bool) -> None:
    routes = routes_of(StitchSpace.build([depths] * anchors, direction=direction, nearest=nearest))  # type: ignore[arg-type]
    ways: dict[str, tuple[Step, ...]] = {}
    for steps in routes.values():
        for count, prefix in enumerate(route_prefixes(steps), 1):
            assert ways.setdefault(prefix, steps[:count]) == steps[:count]
    assert len(ways) == len(set(ways.values()))
