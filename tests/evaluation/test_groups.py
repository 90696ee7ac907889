"""What one pass over the data evaluates: `plan_groups`."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.evaluation import plan_groups
from snnet.network import Tree
from snnet.space import Step, Stitch, StitchSpace
from tests.helpers.routes import routes_of, steps_of


def weight(step: Step) -> float:
    return 4.0**step.anchor


spaces = st.builds(
    StitchSpace.build,
    st.integers(2, 3).flatmap(lambda n: st.integers(2, 6).map(lambda depth: [[depth]] * n)),
    kernel_size=st.integers(1, 2),
    nearest=st.booleans(),
    direction=st.sampled_from(["fast-to-slow", "both"]),
)


@settings(max_examples=40, deadline=None)
@given(spaces, st.integers(1, 20), st.floats(0, 1), st.randoms())
def test_groups_hold_every_stitch_once_and_every_step_once(space, max_groups, max_rerun, random):
    routes = routes_of(space)
    shuffled = random.sample(sorted(routes), len(routes))
    groups = plan_groups(
        {stitch: routes[stitch] for stitch in shuffled}, weight, max_groups=max_groups, max_rerun=max_rerun
    )

    assert Counter(s for group in groups for s in group.stitches) == Counter(s.id for s in space)
    assert len(groups) <= max_groups
    by_id = {stitch.id: steps for stitch, steps in routes.items()}
    for group in groups:
        ends = [end for node in group.nodes() for end in node.ends]
        assert sorted(ends) == sorted(group.stitches)
        mine = [by_id[s] for s in group.stitches]
        # What a step computes depends on the whole way to it.
        ways = [steps[: n + 1] for steps in mine for n in range(len(steps))]
        assert len(list(group.nodes())) == len(set(ways))


@settings(max_examples=20, deadline=None)
@given(spaces)
def test_dividing_costs_at_most_what_was_allowed(space):
    routes = routes_of(space)
    (whole,) = plan_groups(routes, weight, max_groups=1, max_rerun=0)
    divided = plan_groups(routes, weight, max_groups=16, max_rerun=0.05)
    assert sum(g.weight(weight) for g in divided) <= 1.05 * whole.weight(weight) + 1e-9


def test_the_deit_space_is_divided_into_several_balanced_groups():
    space = StitchSpace.build([[12], [12], [12]])
    groups = plan_groups(routes_of(space), weight)
    weights = [g.weight(weight) for g in groups]
    assert 8 <= len(groups) <= 16
    assert max(weights) < 0.2 * sum(weights)


def test_routes_through_one_layer_share_its_output():
    space = StitchSpace.build([[4], [4]])
    tree = Tree()
    for stitch in map(Stitch, ("0:0-1,1:0-4", "0:0-1,1:1-4")):
        tree.add(stitch, steps_of(space, stitch))
    assert Counter(node.step.kind for node in tree.nodes()) == {"stem": 1, "block": 8, "stitch": 1, "head": 2}


def test_the_last_child_is_the_front_anchor_itself():
    """Then the activation at a branching is released before the front anchor goes on."""
    space = StitchSpace.build([[3], [3]])
    (tree,) = plan_groups(routes_of(space), weight, max_groups=1, max_rerun=0)
    for node in tree.nodes():
        kinds = [child.step.kind for child in node.children.values()]
        if "stitch" in kinds and "block" in kinds:
            assert kinds[-1] == "block"


def test_nothing_to_do_is_no_group():
    assert plan_groups({}, weight) == ()
