import math

import pytest

from snnet.training.engine import Update
from snnet.training.meter import Meter


def test_means_are_of_the_last_50_steps() -> None:
    meter = Meter()
    assert math.isnan(meter.loss) and meter.images_per_second == 0
    for step in range(60):
        meter.note(Update(loss=float(step), grad_norm=1.0, images=8), seconds=0.5)
    assert meter.loss == pytest.approx(sum(range(10, 60)) / 50)
    assert meter.images_per_second == pytest.approx(16) and meter.seconds == pytest.approx(0.5)


def test_each_loss_is_logged_once() -> None:
    meter = Meter()
    for loss in (1.0, 3.0):
        meter.note(Update(loss, 1.0, 8), 0.1)
    assert meter.unlogged == [1.0, 3.0] and meter.take_logged() == 2.0
    meter.note(Update(5.0, 1.0, 8), 0.1)
    assert meter.take_logged() == 5.0 and meter.unlogged == []
