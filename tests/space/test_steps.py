from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.space import Step, Stitch, StitchSpace, route_prefixes, route_steps, uncut_anchor
from tests.helpers.routes import routes_of
from tests.space.test_routes import DEPTHS, routes


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
    check_names(StitchSpace.build([depths] * anchors, direction=direction, nearest=nearest))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.lists(routes(), max_size=8))
def test_equal_names_are_equal_ways_of_any_routes(found: list[Stitch]) -> None:
    check_names(StitchSpace.through(DEPTHS, [*found, Stitch("1:0-1,0:1-2,1:0-1,0:1-5"), Stitch("0:0-2,0:3-5")]))


def check_names(space: StitchSpace) -> None:
    """A name stands for one way, and a way for one name; steps are those that are told one by one."""
    ways: dict[str, tuple[Step, ...]] = {}
    for stitch, steps in routes_of(space).items():
        assert steps == route_steps(stitch, lambda *hop: space.layer_of(*hop).name)
        names = route_prefixes(steps)
        assert len(names) == len(set(names)) == len(steps)
        for count, prefix in enumerate(names, 1):
            assert ways.setdefault(prefix, steps[:count]) == steps[:count]
    assert len(ways) == len(set(ways.values()))
