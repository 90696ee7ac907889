from collections import Counter
from typing import Any

import pytest
import torch

from snnet.errors import RecipeError, TableError
from snnet.table import StitchTable
from snnet.training import stitch_generator
from snnet.training.samplers import WeightedSampler
from tests.training.samplers.tables import SPACE, cost_table, scored_table

OTHERS = [stitch for stitch in SPACE if not stitch.is_anchor]


def frequencies(sampler: WeightedSampler, steps: int = 3000) -> dict[str, float]:
    drawn = Counter(sampler.draw(step, stitch_generator(0, step))[0].id for step in range(steps))
    return {stitch.id: drawn[stitch.id] / steps for stitch in SPACE}


def test_stitches_are_drawn_by_their_weights() -> None:
    weights = {stitch.id: 0.0 for stitch in SPACE} | {SPACE[0].id: 1.0, SPACE[4].id: 3.0}
    found = frequencies(WeightedSampler(SPACE, weights))
    assert found[SPACE[0].id] + found[SPACE[4].id] == 1
    assert found[SPACE[4].id] == pytest.approx(0.75, abs=0.032)


def test_anchors_have_a_share_of_their_own() -> None:
    found = frequencies(WeightedSampler(SPACE, {stitch.id: 1.0 for stitch in SPACE}, share=0.6))
    assert [found[SPACE[number].id] for number in range(3)] == pytest.approx([0.2] * 3, abs=0.03)


def test_by_macs() -> None:
    sampler = WeightedSampler.build(SPACE, cost_table(), by="macs", floor=0.0, share=None)
    macs = [row.macs for row in cost_table()]
    assert sampler.probabilities.tolist() == pytest.approx([cost / sum(macs) for cost in macs])


def test_by_need_prefers_what_starts_worst() -> None:
    worst, bad = OTHERS[3].id, OTHERS[7].id
    sampler = WeightedSampler.build(SPACE, scored_table({worst: 30.0, bad: 10.0}), by="need", floor=0.1, share=0.25)
    chances = dict(zip(map(str, SPACE), sampler.probabilities.tolist(), strict=True))
    assert chances[worst] == pytest.approx(3 * chances[bad])
    least = {stitch.id: chances[stitch.id] for stitch in OTHERS if stitch.id not in (worst, bad)}
    # The floor is a tenth of the mean of 40 points over all stitches.
    assert all(chance == pytest.approx(chances[bad] * 0.1 * 40 / len(SPACE) / 10) for chance in least.values())
    assert sum(chances[SPACE[number].id] for number in range(3)) == pytest.approx(0.25)
    assert sum(chances.values()) == pytest.approx(1)


def test_where_nothing_is_in_need_all_are_equal() -> None:
    above = {stitch.id: -1.0 for stitch in OTHERS}
    sampler = WeightedSampler.build(SPACE, scored_table(above), by="need", share=None)
    assert set(sampler.probabilities.tolist()) == {1 / len(SPACE)}


def test_only_need_asks_for_scores() -> None:
    assert WeightedSampler.columns(by="need") == ("macs", "top1")
    assert WeightedSampler.columns(share=0.5) == ("macs",)
    with pytest.raises(TableError, match=r"needs 'top1' .* `snnet evaluate NETWORK --split train` measures it"):
        WeightedSampler.build(SPACE, cost_table(), by="need")


def test_descriptions_tell_weights_apart() -> None:
    first, second, third = (
        WeightedSampler.build(SPACE, scored_table({OTHERS[0].id: need}), by="need").describe() for need in (1, 1, 2)
    )
    assert first == second
    assert WeightedSampler.build(SPACE, scored_table({OTHERS[1].id: 1}), by="need").describe() != first
    # Alone in need, twice the need is the same preference.
    assert third == first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "neeed"}, "no weight by 'neeed'.*Did you mean 'need'"),
        ({"floor": -1}, "floor is -1"),
        ({"share": 1.2}, "share is 1.2"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        WeightedSampler.build(SPACE, cost_table(), **options)


def test_weights_that_cannot_be() -> None:
    with pytest.raises(RecipeError, match=r"finite and not negative; got 0:0-4: -1"):
        WeightedSampler(SPACE, {**{stitch.id: 1.0 for stitch in SPACE}, "0:0-4": -1})
    with pytest.raises(RecipeError, match="none has a weight"):
        WeightedSampler(SPACE, {stitch.id: 0.0 for stitch in SPACE})
    with pytest.raises(RecipeError, match="none has a weight"):
        WeightedSampler(SPACE, {stitch.id: float(stitch.is_anchor) for stitch in SPACE}, share=0.5)


def test_without_anchors_there_is_nothing_to_share() -> None:
    sampler = WeightedSampler(OTHERS, {stitch.id: 1.0 for stitch in OTHERS}, share=0.5)
    assert sampler.probabilities.tolist() == pytest.approx([1 / len(OTHERS)] * len(OTHERS))


def test_by_need_of_the_score_that_the_table_is_chosen_by() -> None:
    worst, bad = OTHERS[3].id, OTHERS[7].id
    percent = scored_table({worst: 30.0, bad: 10.0})
    # Of an error less is better: 100 less the percent lies below its lines by as much.
    errors = cost_table().with_column("rmse", {row.stitch: 100 - row.top1 for row in percent})
    chosen = StitchTable(errors, {"score": "rmse"})
    one, other = (WeightedSampler.build(SPACE, table, by="need").probabilities for table in (percent, chosen))
    torch.testing.assert_close(one, other)
    with pytest.raises(TableError, match="needs 'rmse'"):
        WeightedSampler.build(SPACE, StitchTable(cost_table(), {"score": "rmse"}), by="need")
