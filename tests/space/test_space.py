import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnet.errors import SpaceError
from snnet.space import Cut, Stitch, StitchSpace

DEIT = [[12]] * 3
SWIN = [[2, 2, 6, 2], [2, 2, 18, 2], [2, 2, 18, 2]]


@pytest.mark.parametrize(
    ("depths", "settings", "count"),
    [
        (DEIT, {}, 71),
        (DEIT, {"nearest": False}, 732),
        (DEIT, {"kernel_size": 2, "stride": 2}, 51),
        (DEIT, {"kernel_size": 3, "stride": 3}, 75),
        (DEIT, {"kernel_size": 4, "stride": 4}, 99),
        (SWIN, {"stages": [0, 1, 2]}, 41),
        ([[2, 2, 2, 2], [3, 4, 6, 3]], {"stages": [1, 2]}, 10),
        ([[2, 2, 2, 2], [2, 2, 6, 2]], {"stages": [1, 2]}, 8),
        ([[4, 4, 4], [4, 4, 4]], {"stages": [0, 1]}, 8),
    ],
)
def test_published_counts(depths: list[list[int]], settings: dict[str, object], count: int) -> None:
    assert len(StitchSpace.build(depths, **settings)) == count  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["deit_ti_s_b", "swin_ti_s_b"])
def test_published_order(reference_dir: Path, name: str) -> None:
    published = json.loads((reference_dir / f"{name}.json").read_text())
    space = StitchSpace.build(published["depths"], stages=published["stages_stitched"])
    assert [(i, str(s)) for i, s in enumerate(space)] == [(r["index"], r["stitch"]) for r in published["stitches"]]


def test_routes_without_nearest_stitching_match_a_brute_force_count() -> None:
    pairs = {(i, k) for w in range(3) for i in (w, w + 1) for k in (w, w + 1)}
    hops = len(pairs) * 3
    through_all = sum(k <= i for (_, k), (i, _) in itertools.product(pairs, pairs))
    space = StitchSpace.build([[4]] * 3, nearest=False)
    assert len(space) == 3 + hops + through_all
    sizes = [len(stitch.segments) for stitch in space]
    assert sizes == sorted(sizes)


def space_settings() -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {
            "kernel_size": st.integers(1, 3),
            "stride": st.integers(1, 3),
            "nearest": st.booleans(),
            "direction": st.sampled_from(["fast-to-slow", "slow-to-fast", "both"]),
        }
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(3, 6), min_size=1, max_size=1), min_size=2, max_size=4), space_settings())
def test_every_space_keeps_its_rules(depths: list[list[int]], options: dict[str, object]) -> None:
    try:
        space = StitchSpace.build(depths, **options)  # type: ignore[arg-type]
    except SpaceError as error:
        assert "must move on" in str(error)
        assert len({depth for (depth,) in depths}) > 1
        return
    assert len(set(space)) == len(space)
    assert [s.is_anchor for s in space] == [True] * len(depths) + [False] * (len(space) - len(depths))
    for number, stitch in enumerate(space):
        assert space.index(stitch) == space.index(str(stitch)) == space.index(str(number)) == number
        assert stitch.segments[-1].stop == depths[stitch.anchors[-1]][0]
        for cut in stitch.cuts:
            assert cut in space.layer_of(cut).cuts
            if options["nearest"]:
                assert abs(cut.front - cut.back) == 1
            if options["direction"] == "fast-to-slow":
                assert cut.front < cut.back
            if depths[cut.front] != depths[cut.back]:
                assert cut.leave < cut.enter
        assert all(a.enter <= b.leave for a, b in itertools.pairwise(stitch.cuts))
    assert len({layer.name for layer in space.layers}) == len(space.layers)
    assert {cut for layer in space.layers for cut in layer.cuts} == {c for s in space for c in s.cuts}
    assert StitchSpace.from_config(json.loads(json.dumps(space.to_config()))) == space


def test_both_directions_hold_returns() -> None:
    space = StitchSpace.build([[12], [12]], direction="both", kernel_size=2, stride=2)
    assert {stitch.anchors for stitch in space} == {(0,), (1,), (0, 1), (1, 0), (0, 1, 0), (1, 0, 1)}
    assert StitchSpace.build([[12], [12]], direction="slow-to-fast")[2] == Stitch("1:0-1,0:0-12")


def test_cuts_of_one_window_share_a_layer() -> None:
    space = StitchSpace.build(DEIT)
    assert len(space.layers) == 22
    first = space.layers[0]
    assert first.cuts == (Cut(0, 0, 1, 0), Cut(0, 0, 1, 1), Cut(0, 1, 1, 0), Cut(0, 1, 1, 1))
    assert space.layer_of(Cut(0, 1, 1, 2)) == space.layers[1]
    with pytest.raises(SpaceError, match="No stitch of this space makes the cut 0:0->2:5"):
        space.layer_of(Cut(0, 0, 2, 5))


def test_filters_and_slices_keep_only_the_layers_they_need() -> None:
    space = StitchSpace.build(DEIT)
    front = space.where(anchors=[0, 1])
    assert len(front) == 2 + 34
    assert {layer.back for layer in front.layers} == {1}
    assert len(space.where(max_segments=1).layers) == 0
    assert list(space[3:5]) == [space[3], space[4]]
    assert len(space[3:5].layers) == 1
    late = space.where(lambda stitch: not stitch.is_anchor and stitch.cuts[0].leave >= 10)
    assert all(cut.leave >= 10 for layer in late.layers for cut in layer.cuts)


def test_unknown_stitches_are_refused_with_near_ids() -> None:
    space = StitchSpace.build(DEIT)
    with pytest.raises(SpaceError, match=r"No stitch '71' in this space; accepted: 0 to 70"):
        space.find(71)
    with pytest.raises(SpaceError, match=r"Did you mean '0:0-\d,1:7-12'"):
        space.find("0:0-1,1:7-12")


@pytest.mark.parametrize(
    ("depths", "settings", "message"),
    [
        ([[12]], {}, "at least two anchors, and there is 1"),
        ([], {}, "at least two anchors, and there is 0"),
        (DEIT, {"kernel_size": 13}, None),
        (DEIT, {"kernel_size": 0}, "kernel_size: should be greater than or equal to 1, got 0"),
        (DEIT, {"stride": 0}, "stride: should be greater than or equal to 1, got 0"),
        (DEIT, {"stages": [1]}, r"stages \[1\] are not among the anchors' stages, which are 0 to 0"),
        (DEIT, {"stages": []}, r"stages \[\] are not among"),
        (DEIT, {"direction": "up"}, "direction: should be 'fast-to-slow', 'slow-to-fast' or 'both', got 'up'"),
        ([[12], [6, 6]], {}, "1 and 2 stages"),
        ([[12], [0]], {}, "at least one block"),
        ([[12], [24]], {"direction": "slow-to-fast"}, "no slow-to-fast cut"),
        (SWIN, {"kernel_size": 1}, None),
        ([[2, 2], [2, 2]], {"kernel_size": 1}, r"a cut must move on .* with kernel_size=2 \(--kernel-size 2\)"),
        ([[1, 3], [1, 2]], {}, r"with direction='slow-to-fast' \(--direction slow-to-fast\)"),
        ([[1, 3], [1, 5]], {"stages": [0]}, "in other stages; leave stages out"),
        ([[1, 1], [1, 1]], {}, "no setting gives one; choose anchors with more blocks in a stage"),
    ],
)
def test_impossible_settings_say_why(depths: list[list[int]], settings: dict[str, object], message: str | None) -> None:
    if message is None:
        assert len(StitchSpace.build(depths, **settings)) > len(depths)  # type: ignore[arg-type]
        return
    with pytest.raises(SpaceError, match=message):
        StitchSpace.build(depths, **settings)  # type: ignore[arg-type]


def test_stages_without_a_cut_are_left_out_aloud(caplog: pytest.LogCaptureFixture) -> None:
    space = StitchSpace.build([[1, 2, 3, 1], [1, 2, 5, 1]])
    assert {layer.stage for layer in space.layers} == {1, 2}
    assert "No cut in stages 0, 3 of depths" in caplog.text
    caplog.clear()
    assert {layer.stage for layer in StitchSpace.build([[1, 2, 3, 1], [1, 2, 5, 1]], stages=[1, 2]).layers} == {1, 2}
    assert not caplog.text


def test_stages_are_paired_by_their_numbers() -> None:
    shifted = StitchSpace.build([[1, 2, 2], [2, 2]], stages=[(1, 0), (2, 1)])
    plain = StitchSpace.build([[1, 2, 2], [1, 2, 2]], stages=[1, 2])
    moved = [str(stitch) for stitch in shifted]
    # The second anchor lacks the first block of the plain family's.
    assert len(shifted) == len(plain)
    assert moved[2:] == ["0:0-2,1:1-4", "0:0-4,1:3-4"]
    assert StitchSpace.from_config(shifted.to_config()) == shifted
