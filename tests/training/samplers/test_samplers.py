"""What is true of every sampler."""

from collections import Counter

import pytest

from snnet.errors import RecipeError, SpaceError
from snnet.space import StitchSpace, join_ids
from snnet.training import stitch_generator
from snnet.training.samplers import SAMPLERS, AnchorShareSampler, StitchSampler, UniformSampler

SPACE = StitchSpace.build([[4], [4], [4]])


def draws(sampler: StitchSampler, seed: int, steps: int) -> list[str]:
    return [join_ids(sampler.draw(step, stitch_generator(seed, step))) for step in range(steps)]


def test_uniform_draws_every_stitch_equally_often() -> None:
    per_stitch = 100
    counts = Counter(draws(UniformSampler(SPACE), 0, per_stitch * len(SPACE)))
    chi_square = sum((counts[str(stitch)] - per_stitch) ** 2 / per_stitch for stitch in SPACE)
    # Mean len - 1, standard deviation sqrt(2 (len - 1)); four of them.
    freedom = len(SPACE) - 1
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


def test_a_draw_depends_on_seed_and_step_alone() -> None:
    sampler = UniformSampler(SPACE)
    whole = draws(sampler, 3, 50)
    assert join_ids(sampler.draw(40, stitch_generator(3, 40))) == whole[40]
    assert draws(sampler, 3, 50) == whole
    assert draws(sampler, 4, 50) != whole


def test_anchor_share_is_kept() -> None:
    drawn = draws(AnchorShareSampler(SPACE, 0.4), 0, 2000)
    assert sum("," not in stitch for stitch in drawn) / 2000 == pytest.approx(0.4, abs=0.045)
    assert set(drawn) == {str(stitch) for stitch in SPACE}


@pytest.mark.parametrize(("share", "only_anchors"), [(0.0, False), (1.0, True)])
def test_extreme_shares(share: float, only_anchors: bool) -> None:
    drawn = draws(AnchorShareSampler(SPACE, share), 0, 50)
    assert {"," not in stitch for stitch in drawn} == {only_anchors}


def test_all_steps_go_to_the_kind_that_there_is() -> None:
    anchors = SPACE.where(max_segments=1)
    others = [stitch for stitch in SPACE if not stitch.is_anchor]
    assert set(draws(AnchorShareSampler(anchors, 0.1), 0, 50)) == {stitch.id for stitch in anchors}
    assert set(draws(AnchorShareSampler(others, 0.9), 0, 50)) <= {stitch.id for stitch in others}


def test_impossible_samplers_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"share is 1\.5"):
        AnchorShareSampler(SPACE, 1.5)
    with pytest.raises(SpaceError, match="empty"):
        UniformSampler([])


def test_registry() -> None:
    assert {"uniform", "anchor-share"} <= set(SAMPLERS.names())
    with pytest.raises(RecipeError, match="Did you mean 'uniform'"):
        SAMPLERS.get("unifrom")


@pytest.mark.parametrize(("stitch", "expected"), [("0:0-2,1:2-4", "0:0-2,1:2-4"), (None, "2:0-4")])
def test_one_stitch_at_every_step(stitch: str | None, expected: str) -> None:
    sampler = SAMPLERS.get("single")(SPACE, stitch)  # type: ignore[call-arg]
    assert {sampler.draw(step, stitch_generator(0, step)) for step in range(5)} == {(SPACE.find(expected),)}
    assert sampler.describe()["stitch"] == expected


def test_a_stitch_that_the_space_lacks_is_refused() -> None:
    with pytest.raises(SpaceError, match="no stitch '0:0-3,2:1-4' to train alone"):
        SAMPLERS.get("single")(SPACE, "0:0-3,2:1-4")  # type: ignore[call-arg]
