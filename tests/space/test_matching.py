from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import SpaceError
from snnet.space.matching import paired_windows, stage_groups, stage_layers, unpaired_groups


@given(st.integers(1, 24), st.data())
def test_every_pair_of_a_window_is_listed_once_by_its_first_window(depth: int, data: st.DataObject) -> None:
    kernel_size, stride = data.draw(st.integers(1, depth)), data.draw(st.integers(1, depth))
    windows = paired_windows(depth, kernel_size, stride)
    listed = [pair for window in windows for pair in window]
    starts = range(0, depth - kernel_size + 1, stride)
    expected = {(i, k) for s in starts for i in range(s, s + kernel_size) for k in range(s, s + kernel_size)}
    assert len(listed) == len(set(listed))
    assert set(listed) == expected
    for number, window in enumerate(windows):
        for pair in window:
            first = next(n for n, s in enumerate(starts) if all(s <= b < s + kernel_size for b in pair))
            assert first == number


def test_the_nesting_is_leave_before_enter() -> None:
    assert paired_windows(3, 2, 1) == [[(0, 0), (0, 1), (1, 0), (1, 1)], [(1, 2), (2, 1), (2, 2)]]


@given(st.integers(1, 30), st.integers(1, 30))
def test_unpaired_matching_is_nearest_interpolation(front: int, back: int) -> None:
    groups = unpaired_groups(front, back)
    pairs = [pair for group in groups for pair in group]
    if front <= back:
        assert pairs == [(k * front // back, k) for k in range(back)]
    else:
        assert pairs == [(i, i * back // front) for i in range(front)]
    assert all(len({leave for leave, _ in group}) == 1 for group in groups)
    assert len(groups) == len({leave for leave, _ in pairs})


def test_an_unpaired_stage_moves_on_and_shares_a_layer_per_front_block() -> None:
    layers = stage_layers(0, 1, (2, 2), [[2, 2, 6, 2], [2, 2, 18, 2]], kernel_size=2, stride=1)
    cuts = [(cut.leave - 4, cut.enter - 4) for layer in layers for cut in layer.cuts]
    assert cuts == [(k // 3, k) for k in range(1, 18)]
    assert [len(layer.cuts) for layer in layers] == [2, 3, 3, 3, 3, 3]


@given(st.integers(1, 8), st.integers(1, 5))
def test_a_window_wider_than_the_stage_shrinks_to_it(depth: int, more: int) -> None:
    assert paired_windows(depth, depth + more, 1) == paired_windows(depth, depth, 1)


def test_stages_that_bear_other_numbers_are_joined() -> None:
    depths = [[1, 2, 3, 4], [2, 3, 4]]
    assert stage_groups(depths, [(3, 2), (1, 0)]) == [(1, 0), (3, 2)]
    layers = stage_layers(0, 1, (2, 1), depths, kernel_size=2, stride=1)
    # Stage 2 of the first begins with block 3, stage 1 of the second with block 2.
    assert [str(cut) for layer in layers for cut in layer.cuts] == ["0:3->1:3", "0:4->1:4"]
    assert [layer.name for layer in layers] == ["stage2_0to1_0", "stage2_0to1_1"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (None, r"4 and 3 stages|3 and 4 stages"),
        ([1], r"say which are one, by their number in each: stages=\[\(1, 0\)"),
        ([(1,)], r"are not among the anchors' stages, which are 0 to 3 and 0 to 2"),
        ([(1, 3)], "are not among"),
        ([(1, 1), (2, 1)], "cross; each must come after"),
    ],
)
def test_stages_that_cannot_be_paired_are_refused(stages: list[Any] | None, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        stage_groups([[1, 2, 3, 4], [2, 3, 4]], stages)
