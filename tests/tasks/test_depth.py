from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from snnet.errors import DataError, RecipeError
from snnet.tasks import Depth, build_task, describe_task
from tests.helpers.draws import told_by_draws

TASKS = [Depth(), Depth(positive="exp"), Depth(objective="smooth_l1", beta=0.3), Depth(balance=1.0)]


def data(seed: int = 0, count: int = 6, size: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(count, 1, size, size, generator=generator)
    targets = torch.rand(count, size, size, generator=generator) * 3 + 0.1
    unknown = torch.rand(targets.shape, generator=generator)
    targets[unknown < 0.1], targets[unknown > 0.9] = 0.0, torch.nan
    targets[0, 0, 0] = torch.inf
    return outputs, targets


def checked(task: Depth, outputs: Tensor, targets: Tensor) -> Tensor:
    return task.checked((torch.zeros(len(outputs), 3, *outputs.shape[2:]), targets), 1)[1]


def score(task: Depth, outputs: Tensor, targets: Tensor, parts: int) -> Mapping[str, float]:
    pairs = zip(outputs.split(parts), checked(task, outputs, targets).split(parts), strict=True)
    return task.score(torch.stack([task.statistics(x, y).sum(0) for x, y in pairs]).sum(0), len(outputs))


def by_numpy(found: Any, truth: Any) -> dict[str, float]:
    known = np.isfinite(truth) & (truth > 0)
    found, truth = found[known].astype(np.float64), truth[known].astype(np.float64)
    ratio = np.maximum(found / truth, truth / found)
    return {
        "rmse": float(np.sqrt(np.mean((found - truth) ** 2))),
        "absrel": float(np.mean(np.abs(found - truth) / truth)),
        "delta1": float(100 * np.mean(ratio < 1.25)),
    }


@pytest.mark.parametrize("parts", [1, 4, 6])
@pytest.mark.parametrize("positive", ["softplus", "exp"])
def test_scores_are_those_of_numpy_however_the_images_divide(positive: str, parts: int) -> None:
    task, (outputs, targets) = build_task("depth", positive=positive), data()
    assert isinstance(task, Depth)
    raw = outputs[:, 0].double().numpy()
    expected = by_numpy(np.exp(raw) if positive == "exp" else np.log1p(np.exp(raw)), targets.numpy())
    assert score(task, outputs, targets, parts) == pytest.approx(expected, abs=1e-6)


def test_a_pixel_that_is_not_finite_is_as_one_of_depth_0() -> None:
    task, (outputs, targets) = Depth(), data()
    outputs[0, 0, :2] = torch.nan
    known = checked(task, outputs, targets)
    sums = task.statistics(outputs, known).sum(0)
    assert task.broken(sums) == int((known[0, :2] > 0).sum())
    depths = task.depths(outputs.double()).nan_to_num(1e-300)
    assert task.score(sums, 6) == pytest.approx(by_numpy(depths.numpy(), targets.numpy()), abs=1e-6)


def test_where_nothing_is_known_there_is_no_score_and_nothing_to_learn() -> None:
    outputs = data()[0].requires_grad_()
    for task in TASKS:
        loss = task.loss(outputs, torch.zeros(6, 12, 12))
        assert loss == 0 and not torch.autograd.grad(loss, outputs)[0].any()
        assert score(task, outputs.detach(), torch.zeros(6, 12, 12), 3) == {}


@pytest.mark.parametrize("task", TASKS)
def test_every_loss_has_the_gradient_of_its_definition(task: Depth) -> None:
    outputs, targets = data(count=2, size=4)
    truth, taught = checked(task, outputs, targets).double(), data(1, 2, 4)[0].double()
    outputs = outputs.double()
    outputs[0, 0, 1, 1] = -20.0  # far down on softplus
    outputs.requires_grad_()
    for loss in (
        lambda x: task.loss(x, truth),
        lambda x: task.follow(x, taught, kind="soft", temperature=1.0),
        lambda x: task.follow(x, taught, kind="hard", temperature=1.0),
    ):
        assert torch.autograd.gradcheck(loss, outputs)


def test_losses_are_those_of_their_definitions() -> None:
    outputs, targets = data()
    truth = checked(TASKS[0], outputs, targets)
    silog, smooth = [], []
    for one, of in zip(torch.nn.functional.softplus(outputs[:, 0]), truth, strict=True):
        off = one[of > 0].log() - of[of > 0].log()
        silog.append(off.square().mean() - 0.5 * off.mean().square())
        smooth.append(smooth_l1_loss(one[of > 0], of[of > 0], beta=0.3))
    torch.testing.assert_close(TASKS[0].loss(outputs, truth), torch.stack(silog).mean())
    torch.testing.assert_close(TASKS[2].loss(outputs, truth), torch.stack(smooth).mean())


def test_a_wrong_scale_costs_nothing_at_balance_1() -> None:
    task, (outputs, targets) = Depth(balance=1.0, positive="exp"), data()
    truth = checked(task, outputs, targets)
    torch.testing.assert_close(task.loss(outputs + 2, truth), task.loss(outputs, truth))
    assert Depth(positive="exp").loss(outputs + 2, truth) > 1 + Depth(positive="exp").loss(outputs, truth)


def test_far_below_zero_the_logarithm_of_softplus_stays_known() -> None:
    raw = torch.tensor([-200.0, -15.1, -14.9, 0.0, 300.0])[None, None, None]
    expected = torch.tensor([-200.0, -15.1, -14.9, np.log(np.log(2)), np.log(300)], dtype=torch.float32)
    torch.testing.assert_close(Depth().log_depths(raw).flatten(), expected, rtol=1e-5, atol=1e-5)


def test_agreement_without_labels() -> None:
    task = Depth()
    one, other = (task.answers(data(seed, size=40)[0]) for seed in (0, 1))
    assert one.shape == (6, 16, 16)
    torch.testing.assert_close(task.divergence(one, other), (one - other).square().mean((1, 2)) / 2)
    assert task.agreement(one, one).min() == 1 > task.agreement(one, other).max()
    torch.testing.assert_close(task.agreement(one, one + np.log(1.24)), torch.ones(6).double())
    assert not task.agreement(one, one - np.log(1.26)).any()


def test_gradients_of_draws_tell_the_divergence_that_a_small_change_causes() -> None:
    torch.manual_seed(0)
    task, outputs, change = Depth(), torch.randn(1, 1, 3, 3), 0.01 * torch.randn(1, 1, 3, 3)
    expected = task.divergence(task.answers(outputs), task.answers(outputs + change))
    assert told_by_draws(task, outputs, change) == pytest.approx(float(expected), rel=0.1)


@pytest.mark.parametrize(
    ("targets", "outputs", "message"),
    [
        (torch.zeros(2, 4, 5), 1, r"depths \(B, H, W\), floating-point numbers of their size, not \(2, 1, 4, 4\)"),
        (torch.zeros(2, 4, 4, dtype=torch.long), 1, r"depths .* with torch.int64 \(2, 4, 4\)"),
        (torch.zeros(2, 4, 4), 3, r"3 outputs for each pixel gives no depth; .* outputs=1"),
    ],
)
def test_depths_that_do_not_fit(targets: Tensor, outputs: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Depth().checked((torch.zeros(2, 1, 4, 4), targets), outputs)


def test_it_goes_by_its_name_and_settings() -> None:
    task = Depth(objective="smooth_l1", beta=0.5, positive="exp")
    assert build_task(**describe_task(task)) == task
    for wrong in ({"objective": "l2"}, {"positive": "relu"}, {"balance": 1.5}, {"beta": 0.0}):
        with pytest.raises(RecipeError, match=next(iter(wrong))):
            build_task("depth", **wrong)
