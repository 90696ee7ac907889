from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.init.plan import Node, Product, cross_products, gram_of, plan_sums
from snnet.space import Cut, LayerSpec, StitchSpace

DEPTHS = [[12], [12], [12]]


def test_targets_of_one_front_block_are_summed_first() -> None:
    layer = LayerSpec("w", 0, 1, 0, (Cut(0, 3, 1, 3), Cut(0, 3, 1, 4), Cut(0, 4, 1, 3)))
    assert cross_products(layer, {}) == (
        Product((Node(0, 3),), (Node(1, 2), Node(1, 3))),
        Product((Node(0, 4),), (Node(1, 2),)),
    )


@pytest.mark.parametrize(("kernel_size", "stride", "crosses"), [(2, 1, 42), (2, 2, 12), (4, 4, 6), (1, 1, 24)])
def test_deit_needs_few_products(kernel_size: int, stride: int, crosses: int) -> None:
    layers = StitchSpace.build(DEPTHS, kernel_size=kernel_size, stride=stride).layers
    plan = plan_sums(layers, [12, 12, 12])
    products = [product for due in plan.due.values() for product in due]
    assert len(set(products)) == len(products) == crosses + 24
    assert sum(product == gram_of(product.fronts[0]) for product in products) == 24


@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_products_hold_every_cut_once(pairs: set[tuple[int, int]]) -> None:
    layer = LayerSpec("w", 0, 1, 0, tuple(Cut(0, leave, 1, enter) for leave, enter in sorted(pairs)))
    held = Counter((a.block, b.block + 1) for p in cross_products(layer, {}) for a in p.fronts for b in p.backs)
    assert held == Counter(pairs)


def test_features_live_from_their_making_to_their_last_use() -> None:
    plan = plan_sums(StitchSpace.build(DEPTHS, nearest=False, direction="both").layers, [12, 12, 12])
    alive: set[Node] = set()
    for node in plan.order:
        alive |= {node} & set(plan.nodes)
        assert all({*product.fronts, *product.backs} <= alive for product in plan.due[node])
        alive -= set(plan.done[node])
        assert len(alive) <= 9, "anchors advance side by side"
    assert not alive


def test_no_anchor_runs_further_than_it_must() -> None:
    layer = LayerSpec("w", 0, 1, 0, (Cut(0, 3, 1, 2),))
    plan = plan_sums([layer], [12, 6])
    assert {node for node in plan.order if node.anchor == 0} == {Node(0, block) for block in range(-1, 4)}
    assert {node for node in plan.order if node.anchor == 1} == {Node(1, block) for block in range(-1, 2)}


def test_a_space_without_stitching_layers_needs_nothing() -> None:
    assert plan_sums([], [12]).order == ()
