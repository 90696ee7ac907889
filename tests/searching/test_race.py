import numpy as np
import pytest
import torch

from snnet.network import SNNet
from snnet.profiling import count_costs
from snnet.searching import race as racing
from snnet.searching.race import Race
from snnet.searching.scoring import Judge
from snnet.space import Stitch


@pytest.fixture
@torch.no_grad()
def race(tiny_net: SNNet) -> Race:
    costs = {row.route: float(row.macs or 0) for row in count_costs(tiny_net)}
    held = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    judge = Judge(tiny_net, held, None, batch_size=10)
    anchors = {route: cost for route, cost in costs.items() if route.is_anchor}
    race = Race(tiny_net, judge, anchors, 128, np.linspace(0, max(costs.values()), 4)[1:], False)
    race.costs |= costs
    return race


@torch.no_grad()
def test_the_best_of_each_step_are_known_from_what_was_run(race: Race, tiny_net: SNNet) -> None:
    routes = list(tiny_net.space)[3:]
    race.scores |= race.run(tiny_net, routes, 20)
    assert {race.scores[route].images for route in routes} == {20}
    assert all(race.scores[route].images == 64 for route in tiny_net.space[:3])
    steps = dict(zip(routes, np.searchsorted(race.budgets, [race.costs[route] for route in routes]), strict=True))
    best = race.best(routes, 2)
    for step in set(steps.values()):
        inside = sorted((route for route in routes if steps[route] == step), key=lambda r: race.scores[r].divergence)
        assert [route for route in best if steps[route] == step] == inside[:2]


def test_what_is_run_is_bounded_by_macs(race: Race, tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch) -> None:
    routes = sorted(list(tiny_net.space)[3:], key=race.costs.__getitem__)
    assert race.work == racing.WORK
    assert race.length(routes, 64) == 64 and race.length(routes, 20) == 20
    each = race.macs(routes)
    # What begins alike runs once; stitching layers do not count.
    assert each < sum(race.costs[route] for route in routes)
    assert race.macs(routes[:1]) == pytest.approx(race.costs[routes[0]], rel=0.1)
    assert race.macs([Stitch("0:0-2,1:2-4")], whole=False) < race.macs([Stitch("0:0-2,1:2-4")])
    race.work = 10.5 * each
    assert race.length(routes, 64) == 10
    race.work = 0
    assert race.length(routes, 64) == racing.FEWEST
    race.work = racing.FEWEST * race.macs(routes[:5])
    assert race.affordable(lambda keep: routes[:keep], 9) == routes[:5]
    race.work = 0
    assert race.affordable(lambda keep: routes[:keep], 9) == routes[:1]
    monkeypatch.setattr(racing, "WORK", 0)
    anchors = {route: race.costs[route] for route in tiny_net.space[:3]}
    bounded = Race(tiny_net, race.judge, anchors, 128, race.budgets, False)
    assert bounded.work == pytest.approx(racing.SHARE * 128 * sum(anchors.values()))
