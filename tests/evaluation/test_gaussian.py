import numpy as np
import pytest

from snnet.evaluation import gaussian
from snnet.evaluation.gaussian import infer, most_telling

POINTS = np.random.default_rng(0).random((30, 2))
FREE = np.ones(30, dtype=bool)


def wave(points):
    return np.sin(3 * points[:, 0]) + points[:, 1]


def known(*given):
    """Return the mean and the standard deviation at each point."""
    mean, covariance = infer(*given)
    return mean, np.sqrt(np.diagonal(covariance).clip(0))


def seen(points, values, noise=0.0):
    return np.asarray(points, dtype=np.intp), np.asarray(values, dtype=float), noise * np.eye(len(points))


def test_one_setting_equals_the_textbook_formula(monkeypatch):
    monkeypatch.setattr(gaussian, "_DRAWS", 1)
    points, values = np.arange(0, 30, 3), wave(POINTS)[::3]
    mean, covariance = infer(POINTS, FREE, *seen(points, values, 0.01), seed=4)
    scale = np.sqrt(np.mean(values**2))
    prior = gaussian._prior(POINTS, np.random.default_rng(4)) * scale**2
    inverse = np.linalg.inv(prior[np.ix_(points, points)] + (0.01 + 1e-6 * scale**2) * np.eye(len(points)))
    np.testing.assert_allclose(mean, prior[:, points] @ inverse @ values, atol=1e-8)
    np.testing.assert_allclose(covariance, prior - prior[:, points] @ inverse @ prior[points], atol=1e-8)


def test_the_likelihood_is_that_of_a_normal_variable():
    covariance = np.array([[2.0, 0.3], [0.3, 1.0]])
    values = np.array([0.4, -1.0])
    likelihood, *_ = gaussian._condition(covariance, np.arange(2), values, np.zeros((2, 2)))
    expected = -0.5 * (values @ np.linalg.inv(covariance) @ values + np.log(np.linalg.det(covariance)))
    assert likelihood == pytest.approx(expected)


def test_exact_values_are_kept_and_others_lie_within_their_error_bars():
    truth = wave(POINTS)
    mean, deviation = known(POINTS, FREE, *seen(range(0, 30, 2), truth[::2]))
    np.testing.assert_allclose(mean[::2], truth[::2], atol=0.01)
    assert deviation[::2].max() < 0.01
    off = np.abs(mean - truth)[1::2] / deviation[1::2]
    assert 0.1 < np.sqrt(np.mean(off**2)) < 2.0
    assert np.abs(mean - truth)[1::2].mean() < 0.3 * np.abs(truth[1::2] - truth[::2].mean()).mean()


def test_points_that_are_known_stay_zero():
    free = FREE.copy()
    free[5] = False
    mean, deviation = known(POINTS, free, *seen([0, 1], [1.0, 1.2]))
    assert mean[5] == 0 and deviation[5] == 0


def test_nothing_seen_leaves_the_prior():
    mean, deviation = known(POINTS, FREE, *seen([], []))
    assert not mean.any()
    assert deviation.min() > 0.5


def test_a_value_seen_with_less_noise_counts_for_more():
    noise = np.diag([1e-4, 4.0])
    mean, _ = known(POINTS, FREE, np.array([3, 3]), np.array([1.0, 3.0]), noise)
    assert mean[3] == pytest.approx(1.0, abs=0.05)


def test_the_most_telling_point_reduces_the_variance_most():
    rng = np.random.default_rng(2)
    root = rng.standard_normal((6, 6))
    covariance = root @ root.T

    def left(point):
        return np.trace(covariance - np.outer(covariance[point], covariance[point]) / covariance[point, point])

    assert most_telling(covariance, [0, 1, 2, 3, 5], 1) == [min([0, 1, 2, 3, 5], key=left)]
    chosen = most_telling(covariance, [0, 1, 2], 9)
    assert sorted(chosen) == [0, 1, 2]
