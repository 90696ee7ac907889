import json
from pathlib import Path

import pytest
from PIL import Image

from snnet.report import draw_training, training
from snnet.report.training import read_curves
from snnet.table import StitchRow, StitchTable

TABLE = StitchTable([StitchRow(0, "0:0-4", {}), StitchRow(1, "1:0-4", {}), StitchRow(2, "0:0-2,1:2-4", {})])
RECORDS = [
    {"step": 5, "loss": 2.0},
    {"step": 10, "top1/0:0-4": 50.0, "top1/0:0-2,1:2-4": 40.0},
    {"step": 20, "top1/0:0-4": 60.0, "top1/0:0-2,1:2-4": 55.0},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS) + '{"step": 30, "top1/0')
    return path


def test_each_stitch_has_its_scores_in_order(log: Path) -> None:
    expected = {"0:0-4": [(10, 50.0), (20, 60.0)], "0:0-2,1:2-4": [(10, 40.0), (20, 55.0)]}
    assert read_curves(log) == ("top1", expected)


def test_any_score_has_curves(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "loss": 2.0, "lr/own": 1.0, "rmse/0:0-4": 0.5}\n{"step": 2, "rmse/0:0-4": 0.25}\n')
    assert read_curves(log) == ("rmse", {"0:0-4": [(1, 0.5), (2, 0.25)]})
    axes = training._figure(*read_curves(log), TABLE).axes[0]
    assert axes.get_ylabel() == "RMSE" and training._apart([0.2, 0.2, 0.5], 0.0)[1] == pytest.approx(0.21)


def test_every_curve_is_drawn_and_named(log: Path, tmp_path: Path) -> None:
    axes = training._figure(*read_curves(log), TABLE).axes[0]
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[10, 50], [20, 60]], [[10, 40], [20, 55]]]
    assert [text.get_text() for text in axes.texts] == ["0:0-2,1:2-4", "anchor 0"]
    path = draw_training(log, tmp_path / "training.png", TABLE)
    assert path is not None
    with Image.open(path) as picture:
        assert picture.size[0] > 1000


def test_a_log_without_scores_gives_no_picture(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    assert draw_training(tmp_path / "log.jsonl", tmp_path / "training.png", TABLE) is None
    assert not (tmp_path / "training.png").exists()


def test_labels_of_equal_scores_do_not_lie_on_each_other() -> None:
    assert training._apart([50.0, 80.0, 80.0, 80.5], 1.0) == [
        50.0,
        80.0,
        pytest.approx(81.017, 0.001),
        pytest.approx(82.03, 0.001),
    ]
    assert training._apart([50.0], 1.0) == [50.0]
