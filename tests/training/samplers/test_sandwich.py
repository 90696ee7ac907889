import pytest

from snnet.errors import RecipeError, TableError
from snnet.table import StitchTable
from snnet.training import stitch_generator
from snnet.training.samplers import SandwichSampler
from tests.training.samplers.tables import SPACE, cost_table


def test_each_step_has_the_ends_and_some_others() -> None:
    sampler = SandwichSampler.build(SPACE, cost_table(), random=3)
    drawn = [sampler.draw(step, stitch_generator(0, step)) for step in range(300)]
    # The largest comes first, for it teaches.
    assert {step[:2] for step in drawn} == {(SPACE[2], SPACE[0])}
    assert all(len(set(step)) == 5 for step in drawn)
    assert {stitch for step in drawn for stitch in step} == set(SPACE)


def test_the_ends_follow_the_costs_and_not_the_numbers() -> None:
    macs = {stitch.id: 1.0 for stitch in SPACE} | {SPACE[1].id: 9.0, SPACE[2].id: 0.5, SPACE[5].id: 20.0}
    # Stitch 5 is dearer than any anchor and still no end.
    assert SandwichSampler(SPACE, macs, 0).draw(0, stitch_generator(0, 0)) == (SPACE[1], SPACE[2])


def test_without_anchors_the_cheapest_and_the_dearest_route_are_the_ends() -> None:
    routes = [stitch for stitch in SPACE if not stitch.is_anchor]
    macs = {stitch.id: float(number) for number, stitch in enumerate(routes)}
    assert SandwichSampler(routes, macs).ends == (routes[-1], routes[0])
    assert SandwichSampler(routes[:1], macs, random=0).draw(0, stitch_generator(0, 0)) == (routes[0],)


def test_descriptions_differ_with_the_number() -> None:
    assert SandwichSampler.build(SPACE, cost_table(), random=1).describe() != (
        SandwichSampler.build(SPACE, cost_table(), random=2).describe()
    )


def test_what_cannot_be() -> None:
    with pytest.raises(RecipeError, match=f"random is 99; a step can take 0 to {len(SPACE) - 2}"):
        SandwichSampler.build(SPACE, cost_table(), random=99)
    with pytest.raises(TableError, match=r"needs 'macs' of every stitch, and .* `snnet profile NETWORK` measures it"):
        SandwichSampler.build(SPACE, StitchTable([]))
