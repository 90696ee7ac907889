from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.errors import BudgetError
from snnet.serving import POLICIES, Options, gamma_arrivals, offline_optimum, simulate
from tests.serving.services import options


def brute_force(arrivals: list[float], found: Options, slo: float) -> float:
    """Try all plans: any set of requests at any moment in any batch, by any stitch."""

    def best(left: frozenset[int], free: float) -> float:
        value = 0.0
        for count in range(1, min(len(left), found.max_batch) + 1):
            for batch, row in product(combinations(sorted(left), count), range(len(found))):
                start = max([free, *(arrivals[place] for place in batch)])
                end = start + float(found.latencies[row, count - 1])
                if end <= min(arrivals[place] for place in batch) + slo + 1e-9:
                    value = max(value, count * float(found.scores[row]) + best(left - set(batch), end))
        return value

    return best(frozenset(range(len(arrivals))), 0.0) / len(arrivals)


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.2, 4.0]), min_size=1, max_size=5),
    slo=st.sampled_from([1.5, 3.0, 5.0, 8.0, 12.0]),
    setup=st.sampled_from([0.2, 2.0]),
)
def test_it_is_what_trying_all_plans_gives(gaps: list[float], slo: float, setup: float) -> None:
    arrivals = np.cumsum(gaps).tolist()
    found = options(max_batch=3, setup=setup, scores=(60.0, 80.0))
    optimum = offline_optimum(arrivals, found, slo_ms=1000 * slo)
    assert optimum == pytest.approx(brute_force(arrivals, found, slo))
    assert offline_optimum(arrivals, found, slo_ms=1000 * slo, resolution=0.3) >= optimum - 1e-9


@pytest.mark.parametrize("policy", POLICIES.names())
def test_no_policy_does_better(policy: str) -> None:
    arrivals = gamma_arrivals(0.4, 40, cv2=4, seed=2)
    found = options()
    assert (
        simulate(arrivals, found, policy, slo_ms=12_000).value <= offline_optimum(arrivals, found, slo_ms=12_000) + 1e-9
    )


def test_a_trace_out_of_order_is_refused() -> None:
    for trace in ([], [2.0, 1.0]):
        with pytest.raises(BudgetError, match="in order"):
            offline_optimum(trace, options(), slo_ms=1)
