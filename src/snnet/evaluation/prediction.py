"""Scores of all stitches from those measured: the lines between the anchors, and what lies near on top of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snnet.errors import TableError
from snnet.evaluation.gaussian import Array, infer, most_telling
from snnet.evaluation.sample import ImageSample
from snnet.space import Stitch
from snnet.table import (
    COST,
    ERROR,
    PREDICTION,
    StitchRow,
    StitchTable,
    column,
    line_between_anchors,
    measured,
    require_columns,
    without_predictions,
)

# The mean absolute value of a normal variable, in standard deviations.
_MEAN_ABSOLUTE = float(np.sqrt(2 / np.pi))
# Nothing predicted is certain, and an error of zero would read as measured.
_LEAST_ERROR = 1e-3
# A block repeated or left out at a cut matters more than where the cut is.
_SKIP = 3.0


@dataclass(frozen=True, repr=False)
class PredictedScores:
    """A table in which every stitch has a score, and what its predictions are worth.

    Attributes:
        table: `top1`, or another score, of all stitches; those predicted have their standard deviation in `top1_error`
            (points).
        measured: Stitches measured on all images.
        error: Expected mean absolute error of the predicted scores, in points; 0.0 if none is predicted.
        next: Ids of the stitches that would tell most about the others if they were measured, the best first.
        work: Pairs of stitch and image that were run, as a part of all.
    """

    table: StitchTable
    measured: int
    error: float
    next: tuple[str, ...]
    work: float

    def __repr__(self) -> str:
        worth = f"{self.measured} measured, {self.predicted} predicted to {self.error:.2f} points on average"
        return f"PredictedScores({worth})\n{self.table}"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()

    @property
    def predicted(self) -> int:
        """Stitches whose score is predicted."""
        return len(self.table) - self.measured


def predict_scores(
    table: StitchTable, *, sample: ImageSample | None = None, score: str | None = None, count: int = 1
) -> PredictedScores:
    """Predict the scores that a table lacks from those that it has; needs neither network nor images.

    The mean lies on the straight lines between a route's own anchors over MACs (in points, so the scores may be of
    any data). On it lies a Gaussian process over what a route is: see `gaussian.infer` and `route_features`.

    Args:
        table: MACs of all stitches, and scores of at least the anchors; predictions in it are made anew.
        sample: What the stitches did on some of the images.
        score: The column, in percent; the score that the table is chosen by if None.
        count: How many stitches `next` names.

    Raises:
        TableError: If MACs or the score of an anchor are missing, or it is not in percent.
    """
    score = score or table.score
    if column(score).unit != "%":
        raise TableError(f"Scores are predicted in points of percent, and {score!r} is not in percent; evaluate all.")
    known = without_predictions(table, score)
    require_columns(known, COST, score)
    rows = list(known)
    if lacking := next((row.stitch for row in rows if not measured(row, COST)), None):
        raise TableError(f"Stitch {lacking} has no MACs, from which its {score!r} is predicted; run snnet.profile.")
    lines = np.array([line_between_anchors(known, row, score=score) for row in rows])
    have = np.array([measured(row, score) for row in rows])
    mean, covariance = _posterior(rows, lines, have, sample, score)
    deviation = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    missing = [int(number) for number in np.flatnonzero(~have)]
    values = {rows[n].stitch: float(np.clip(lines[n] + mean[n], 0.0, 100.0)) for n in missing}
    errors = {rows[n].stitch: max(float(deviation[n]), _LEAST_ERROR) for n in missing}
    error = _MEAN_ABSOLUTE * float(np.mean(list(errors.values()))) if errors else 0.0
    work = (int(have.sum()) + len(missing) * (sample.share if sample else 0.0)) / len(rows)
    following = tuple(rows[n].stitch for n in most_telling(covariance, missing, count))
    facts = {"measured": int(have.sum()), "error": round(error, 3), "work": round(work, 3)}
    filled = known.with_column(score, values).with_column(score + ERROR, errors)
    meta = {**filled.meta, PREDICTION: facts} if errors else filled.meta
    return PredictedScores(StitchTable(filled, meta), int(have.sum()), error, following, work)


def _posterior(
    rows: Sequence[StitchRow], lines: Array, have: NDArray[np.bool_], sample: ImageSample | None, score: str
) -> tuple[Array, Array]:
    free = np.array([not row.route.is_anchor for row in rows])
    place = {row.stitch: number for number, row in enumerate(rows)}
    exact = np.flatnonzero(have & free)
    points, values = exact, np.array([rows[n].values[score] for n in map(int, exact)]) - lines[exact]
    noise = np.zeros((len(exact),) * 2)
    if sample is not None:
        seen = np.array([place[stitch] for stitch in sample.stitches])
        points, values = np.concatenate([points, seen]), np.concatenate([values, sample.score - lines[seen]])
        noise = np.zeros((len(points),) * 2)
        noise[len(exact) :, len(exact) :] = sample.covariance
    depths = [row.route.segments[0].stop for row in rows if row.route.is_anchor]
    features = route_features([row.route for row in rows], depths)
    return infer(features, free, points, values, noise)


def route_features(routes: Sequence[Stitch], depths: Sequence[int]) -> Array:
    """Return `(len(routes), d)`: features in which stitches differ, each about one wide.

    They are where the cuts lie in their anchors, how many blocks (as a part of the anchor's) are run twice or left
    out at them, how many cuts there are, which anchor comes first, and how far the last lies from it. MACs are a
    function of these.

    Args:
        routes: The stitches.
        depths: Blocks of each anchor.
    """
    points = np.array([_features(route, depths) for route in routes], dtype=np.float64)
    # Anchors have no cut, and are known anyway.
    stitched = np.array([not route.is_anchor for route in routes])
    varying: Array = points[:, points[stitched].std(axis=0) > 0] if stitched.any() else points[:, :0]
    return varying if varying.shape[1] else np.zeros((len(routes), 1))


def _features(route: Stitch, depths: Sequence[int]) -> list[float]:
    leaves = [(cut.leave + 1) / depths[cut.front] for cut in route.cuts]
    enters = [cut.enter / depths[cut.back] for cut in route.cuts]
    place = sum(leaves) / len(leaves) if leaves else 0.0
    first, last = route.anchors[0], route.anchors[-1]
    return [place, _SKIP * (sum(leaves) - sum(enters)), len(route.cuts), first, last - first]
