"""Some stitches more often than others."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from statistics import fmean
from typing import Any

import torch

from snnet.errors import RecipeError, did_you_mean
from snnet.space import Stitch
from snnet.table import COST, SCORE, StitchTable, gap_to_lines
from snnet.training.checkpoint import content_digest
from snnet.training.samplers.samplers import SAMPLERS, StitchSampler, check_not_empty, check_share, values_of


@SAMPLERS.register("weighted")
class WeightedSampler(StitchSampler):
    """An anchor with probability `share`, otherwise another stitch in proportion to its weight.

    Args:
        stitches: The stitches to draw from, usually a `StitchSpace`.
        weights: Id of each stitch -> its weight, not negative; only their ratios count.
        share: Probability of an anchor, each as likely as the next; None draws anchors by their weights too. Where
            there is no anchor, or nothing else, all steps go to what there is.
    """

    def __init__(self, stitches: Sequence[Stitch], weights: Mapping[str, float], share: float | None = None) -> None:
        check_not_empty(stitches)
        self.stitches = stitches
        _check_weights(stitches, weights)
        given = [float(weights[stitch.id]) for stitch in stitches]
        self.probabilities = torch.tensor(_probabilities(stitches, given, share), dtype=torch.float64)

    @classmethod
    def columns(cls, by: str = "macs", **options: Any) -> tuple[str, ...]:  # noqa: ARG003
        """Return what the rule reads; top-1 stands for the score that the table is chosen by."""
        return _rule(by)[0]

    @classmethod
    def build(
        cls, stitches: Sequence[Stitch], table: StitchTable, share: float | None = 0.2, **options: Any
    ) -> "WeightedSampler":
        """Weigh the stitches by a rule, see `rule_weights` for the other options."""
        return cls(stitches, rule_weights(stitches, table, **options), share)

    def draw(self, step: int, generator: torch.Generator) -> tuple[Stitch, ...]:  # noqa: ARG002
        """Return one stitch."""
        number = torch.multinomial(self.probabilities, 1, generator=generator).item()
        return (self.stitches[int(number)],)

    def describe(self) -> dict[str, object]:
        """Return the name, and a checksum of all probabilities."""
        return {**super().describe(), "probabilities": content_digest(self.probabilities)}


def rule_weights(
    stitches: Sequence[Stitch], table: StitchTable, by: str = "macs", floor: float = 0.25
) -> dict[str, float]:
    """Return the weight of each stitch by its id.

    Args:
        stitches: The stitches to weigh.
        table: Costs of all stitches; for `need` also the score as it is before training, on training images.
        by: `macs`, in proportion to the multiply-adds; or `need`, by how far the score of a stitch lies below
            the lines between its anchors, so that those that start worst are trained most.
        floor: Least weight, as a share of the mean: no stitch goes untrained for long.

    Raises:
        RecipeError: If there is no such rule, or the floor is negative.
        TableError: If a stitch lacks a value; the message names the command that measures it.
    """
    columns, weigh = _rule(by)
    for column in columns:
        values_of(stitches, table, table.score if column == SCORE else column)
    if not floor >= 0.0:
        raise RecipeError(f"floor is {floor}; it is a share of the mean weight, 0 or more.")
    raw = weigh(stitches, table)
    least = floor * fmean(raw.values())
    return {stitch: max(weight, least) for stitch, weight in raw.items()}


def _by_need(stitches: Sequence[Stitch], table: StitchTable) -> dict[str, float]:
    """Return by how much scores are below the lines; anchors lie on them."""
    gaps = gap_to_lines(table, table)
    needs = {stitch.id: max(0.0, -gaps.get(stitch.id, 0.0)) for stitch in stitches}
    # Where nothing is in need, nothing is in greater need.
    return needs if any(needs.values()) else dict.fromkeys(needs, 1.0)


_Rule = tuple[tuple[str, ...], Callable[[Sequence[Stitch], StitchTable], dict[str, float]]]
_RULES: dict[str, _Rule] = {"macs": ((COST,), partial(values_of, name=COST)), "need": ((COST, SCORE), _by_need)}


def _rule(by: str) -> _Rule:
    if by not in _RULES:
        raise RecipeError(f"There is no weight by {by!r}; accepted: {', '.join(_RULES)}.{did_you_mean(by, _RULES)}")
    return _RULES[by]


def _check_weights(stitches: Sequence[Stitch], weights: Mapping[str, float]) -> None:
    wrong = [s.id for s in stitches if not isfinite(weight := weights.get(s.id, -1.0)) or weight < 0]
    if wrong:
        values = ", ".join(f"{name}: {weights.get(name)}" for name in wrong[:3])
        raise RecipeError(f"Every stitch needs a weight, finite and not negative; got {values}.")


def _probabilities(stitches: Sequence[Stitch], weights: list[float], share: float | None) -> list[float]:
    """Return probabilities that sum to one, with the anchors' part as asked for."""
    anchors = [float(stitch.is_anchor) for stitch in stitches]
    if share is not None:
        check_share(share)
    if share is None or len(set(anchors)) == 1:
        return _normalized(weights, 1.0)
    others = [weight * (1 - anchor) for weight, anchor in zip(weights, anchors, strict=True)]
    parts = zip(_normalized(anchors, share), _normalized(others, 1 - share), strict=True)
    return [anchor + other for anchor, other in parts]


def _normalized(weights: list[float], total: float) -> list[float]:
    if total == 0:
        return [0.0] * len(weights)
    if not any(weights):
        raise RecipeError("Among the stitches to draw from, anchors or others, none has a weight; change the share.")
    return [total * weight / sum(weights) for weight in weights]
