"""Training of networks that end in maps: it learns, follows teachers, and resumes, in any number of processes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from snnet.errors import RecipeError
from snnet.evaluation import evaluate
from snnet.training import Probe, StitchLoss, Trainer, content_digest
from tests.helpers.dense import TASKS, dense_data, dense_net, dense_trainer

kinds = pytest.mark.parametrize("kind", TASKS)


@kinds
def test_the_loss_falls_and_scores_rise(kind: str) -> None:
    trainer = dense_trainer(kind, steps=60)
    data, first = dense_data(kind), trainer.net.task.scores[0]
    before = evaluate(trainer.net, data)
    losses: list[float] = []
    trainer.fit(on_step=lambda status: losses.append(status.loss))
    assert losses[-1] < 0.7 * losses[0]
    after = evaluate(trainer.net, data)
    better = -1 if kind == "depth" else 1
    for one, other in zip(before, after, strict=True):
        assert better * other.values[first] > better * one.values[first], one.stitch


@kinds
def test_stitches_follow_their_own_largest_anchor(kind: str) -> None:
    trainer = dense_trainer(kind, taught=True)
    images = dense_data(kind).images
    teacher = trainer.loss.distillation
    assert teacher is not None
    stitch = next(one for one in trainer.net.space if not one.is_anchor)
    with torch.no_grad():
        expected = trainer.net.eval()(images, "1:0-2")
        torch.testing.assert_close(teacher.teacher(images, stitch), expected)
        assert teacher(expected, images, stitch, trainer.net.task) < 1e-6
    result = trainer.fit()
    with torch.no_grad():
        torch.testing.assert_close(teacher.teacher(images, stitch), expected)
    assert result.steps == 12


@kinds
def test_a_run_that_goes_on_equals_one_that_was_never_stopped(kind: str, tmp_path: Path) -> None:
    whole = dense_trainer(kind, tmp_path / "whole", taught=True)
    whole.fit()

    class StopError(Exception):
        pass

    def stop(status: Any) -> None:
        if status.step == 8:
            raise StopError

    with pytest.raises(StopError):
        dense_trainer(kind, tmp_path / "part", taught=True).fit(on_step=stop)
    again = dense_trainer(kind, tmp_path / "part", taught=True)
    messages: list[str] = []
    again.fit(resume=True, on_message=messages.append)
    assert "Resuming after step 6" in messages[0]
    assert content_digest(again.net.state_dict()) == content_digest(whole.net.state_dict())


@kinds
def test_two_processes_train_as_one_does(kind: str, dense_together: Path) -> None:
    found = torch.load(dense_together / "found.pt", weights_only=True)[kind]
    trainer = dense_trainer(kind, steps=4)
    assert trainer.fit().loss == pytest.approx(found["loss"], abs=1e-5)
    for name, value in trainer.net.state_dict().items():
        torch.testing.assert_close(value, found["net"][name], rtol=0, atol=1e-5)


def test_another_tasks_loss_is_refused() -> None:
    net = dense_net("depth")
    run = dense_trainer("depth").run
    with pytest.raises(RecipeError, match="of Classification, and the network is for Depth"):
        Trainer(net, dense_trainer("depth").batches, run=run, loss=StitchLoss())


@kinds
def test_scores_while_training_are_those_of_evaluation_and_none_where_nothing_is_known(kind: str) -> None:
    net, data = dense_net(kind), dense_data(kind)
    first = net.task.scores[0]
    found = Probe([(data.images, data.labels)], list(net.space), 1).measure(net, 1)
    expected = {f"{first}/{row.stitch}": row.values[first] for row in evaluate(net, data)}
    assert found == pytest.approx(expected, rel=1e-6)
    nothing = torch.full_like(data.labels, 255 if kind == "segmentation" else 0)
    assert Probe([(data.images, nothing)], list(net.space), 1).measure(net, 1) == {}
