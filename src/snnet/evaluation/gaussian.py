"""Gaussian process regression, exact and small: a few hundred points, in float64, without a framework.

Nothing is fitted by descent. The answer is averaged over settings of the covariance function drawn from a prior, each
weighted by the likelihood of the data under it, so that the error bars know how little few points say about the
settings (Rasmussen and Williams, Gaussian Processes for Machine Learning, section 5.2).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DRAWS = 96
# Below so small a share of the likelihood a setting changes nothing.
_NEGLIGIBLE = 1e-4
# What an exact value may be off, relative to the scale of all values; keeps the matrices well conditioned.
_JITTER = 1e-3
# Medians and spreads, as logarithms, of the prior of each setting; heights relative to the scale of the values.
_SMOOTH, _OFFSET, _OWN, _LENGTH = (-0.4, 0.6), (0.0, 0.7), (-1.2, 0.8), (-0.3, 0.9)


def infer(
    features: Array, free: NDArray[np.bool_], points: NDArray[np.intp], values: Array, noise: Array, *, seed: int = 0
) -> tuple[Array, Array]:
    """Return the values at all points from those seen at some.

    A value is a smooth function of the features (Matern 5/2, one length per feature), plus an offset that all share,
    plus a part of the point's own.

    Args:
        features: `(m, d)`, each feature about one wide.
        free: `(m,)`; where false the value is zero and known.
        points: `(n,)` numbers of the points that were seen; a point may be seen twice.
        values: `(n,)` what was seen there; without any, values are thought to be about one.
        noise: `(n, n)` covariance of the errors; zeros where a value is exact.
        seed: Of the draws from the prior.

    Returns:
        The mean `(m,)` and the covariance `(m, m)` of what is known of the values.
    """
    scale = max(float(np.sqrt(np.mean(values**2))), 1e-6) if len(values) else 1.0
    noise = noise / scale**2 + _JITTER**2 * np.eye(len(values))
    generator = np.random.default_rng(seed)
    fits = []
    for _ in range(_DRAWS):
        prior = _prior(features, generator) * np.outer(free, free)
        fits.append(_condition(prior, points, values / scale, noise))
    likelihoods = np.array([likelihood for likelihood, *_ in fits])
    weights = np.exp(likelihoods - likelihoods.max())
    weights /= weights.sum()
    kept = [(w, mean, cov) for w, (_, mean, cov) in zip(weights, fits, strict=True) if w > _NEGLIGIBLE]
    total = sum(w for w, *_ in kept)
    mean = sum((w * m for w, m, _ in kept), np.zeros(len(features))) / total
    covariance = sum((w * (c + np.outer(m - mean, m - mean)) for w, m, c in kept), np.zeros((len(mean),) * 2)) / total
    return scale * mean, scale**2 * covariance


def most_telling(covariance: Array, candidates: Sequence[int], count: int) -> list[int]:
    """Return the points whose exact values would together reduce the summed variance most, found greedily.

    Args:
        covariance: `(m, m)` of the present posterior.
        candidates: Numbers of the points to choose from.
        count: At most so many.
    """
    left, chosen = covariance.copy(), list[int]()
    while len(chosen) < min(count, len(candidates)):
        variance = np.maximum(np.diagonal(left), 1e-12)
        gain = (left**2).sum(1) / variance
        best = max((c for c in candidates if c not in chosen), key=gain.__getitem__)
        chosen.append(best)
        left = left - np.outer(left[best], left[best]) / variance[best]
    return chosen


def _prior(features: Array, generator: np.random.Generator) -> Array:
    """Return the covariance of all points under settings drawn from the prior."""
    smooth, offset, own = (np.exp(2 * generator.normal(*about)) for about in (_SMOOTH, _OFFSET, _OWN))
    scaled = features / np.exp(generator.normal(*_LENGTH, size=features.shape[1]))
    squares = (scaled**2).sum(1)
    distance = np.sqrt(5 * np.maximum(squares[:, None] + squares[None] - 2 * scaled @ scaled.T, 0.0))
    matern = (1 + distance + distance**2 / 3) * np.exp(-distance)
    covariance: Array = smooth * matern + offset + own * np.eye(len(features))
    return covariance


def _condition(prior: Array, points: NDArray[np.intp], values: Array, noise: Array) -> tuple[float, Array, Array]:
    """Return the logarithm of the likelihood, the mean and the covariance given what was seen."""
    root = np.linalg.cholesky(prior[np.ix_(points, points)] + noise)
    white = np.linalg.solve(root, np.column_stack([values, prior[points]]))
    known, cross = white[:, 0], white[:, 1:]
    likelihood = -0.5 * float(known @ known) - float(np.log(np.diagonal(root)).sum())
    return likelihood, cross.T @ known, prior - cross.T @ cross
