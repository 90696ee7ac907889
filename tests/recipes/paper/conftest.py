"""Recipes shrunk to a few steps and images."""

from pathlib import Path

import pytest

QUICK = {
    "calibration.images": 4,
    "data.batch_size": 4,
    "run.steps": 2,
    "optim.warmup_epochs": 0,
    "recalibration.images": 16,
    "evaluation.images": 8,
}


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all experiments, which share their runs."""
    return tmp_path_factory.mktemp("paper")
