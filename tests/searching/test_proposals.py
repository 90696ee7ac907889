import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.network import SNNet
from snnet.profiling import count_costs, step_macs
from snnet.searching.candidates import Costs, all_cuts, with_routes
from snnet.searching.proposals import Found, Proposals, budgets_between, expected, most_promising


@pytest.fixture
def proposals(tiny_net: SNNet) -> Proposals:
    cuts = all_cuts(tiny_net.family)
    caused = np.arange(len(cuts), dtype=float)
    return Proposals(cuts, Costs.of(tiny_net, cuts, step_macs), tiny_net.family, caused, [0.5, 0.25, 0.0])


def test_extended_routes_cost_what_they_are_counted_at(tiny_net: SNNet, proposals: Proposals) -> None:
    singles = proposals.singles()
    twice = proposals.extended(singles.routes, np.inf)
    thrice = proposals.extended(twice.routes[::97], np.inf)
    every = Found.joined([singles, twice, thrice])
    places = range(0, len(every.routes), 311)
    stitches = [proposals.stitch(every.routes[place]) for place in places]
    known = {row.stitch: row.macs for row in count_costs(with_routes(tiny_net, stitches))}
    assert {len(stitch.cuts) for stitch in stitches} == {1, 2, 3}
    for place, stitch in zip(places, stitches, strict=True):
        route = every.routes[place]
        assert every.costs[place] == pytest.approx(known[stitch.id], rel=1e-12)
        assert [proposals.cuts[number] for number in route] == list(stitch.cuts)
        assert every.divergences[place] == sum(route) + [0.5, 0.25, 0.0][stitch.segments[-1].anchor]


def test_every_route_with_two_cuts_is_met_once(proposals: Proposals) -> None:
    cuts = proposals.cuts
    wanted = {
        (a, b)
        for a, one in enumerate(cuts)
        for b, other in enumerate(cuts)
        if one.back == other.front and other.leave >= one.enter
    }
    found = proposals.extended(proposals.singles().routes, np.inf).routes
    assert set(found) == wanted and len(found) == len(wanted)
    limit = float(np.median(proposals.extended(proposals.singles().routes, np.inf).costs))
    cheap = proposals.extended(proposals.singles().routes, limit)
    assert 0 < len(cheap.routes) < len(found) and cheap.costs.max() <= limit
    assert proposals.extended([], 1.0).routes == []


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(0, 5)), min_size=1, max_size=40), st.integers(1, 4))
def test_the_most_promising_at_every_cost(routes: list[tuple[float, float]], keep: int) -> None:
    costs, divergences = map(np.array, zip(*routes, strict=True))
    budgets = np.linspace(20, 80, 4)
    found = most_promising(costs, divergences, budgets, keep)
    assert len(set(found)) == len(found)
    for low, high in zip([-np.inf, *budgets], budgets, strict=False):
        inside = [n for n in range(len(costs)) if low < costs[n] <= high]
        kept = [n for n in found if n in inside]
        assert len(kept) == min(keep, len(inside))
        assert sorted(divergences[n] for n in kept) == sorted(divergences[n] for n in inside)[: len(kept)]
    assert all(costs[n] <= 80 for n in found)


def test_what_cuts_cause_is_learned_from_those_that_were_run() -> None:
    residuals, predicted = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 0.5, 0.2, 0.9])
    truth = 2 * residuals**1.5 * predicted**0.5
    found = expected(residuals, predicted, dict(enumerate(truth[:3])))
    assert found == pytest.approx(truth, rel=1e-5)
    assert expected(residuals, predicted, {0: 7.0, 1: 1.0, 2: 2.0})[0] == 7.0


def test_budgets_reach_from_half_of_the_cheapest_anchor_to_the_largest() -> None:
    assert budgets_between([40.0, 100.0], 4).tolist() == [40.0, 60.0, 80.0, 100.0]
