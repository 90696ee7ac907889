from pathlib import Path

import pytest

from snnet.cli.options import default_device, parse_overrides
from snnet.errors import RecipeError


def test_values() -> None:
    tokens = ["--a.b", "1", "--c=x=y", "--d", "e", "f", "--on", "--none", "null", "--batch-size.x-y", "-3"]
    assert parse_overrides(tokens) == {
        "a.b": "1",
        "c": "x=y",
        "d": ["e", "f"],
        "on": True,
        "none": None,
        "batch_size.x_y": "-3",
    }


def test_all_faults_at_once() -> None:
    with pytest.raises(RecipeError, match=r"'x' belongs to no setting.*--a is given twice"):
        parse_overrides(["x", "--a", "1", "--a", "2"])


def test_a_short_form_says_the_same_or_is_refused() -> None:
    assert parse_overrides(["--data.root", "a"], {"data.root": Path("a"), "data.name": None}) == {"data.root": "a"}
    assert parse_overrides([], {"run.seed": 1}) == {"run.seed": 1}
    with pytest.raises(RecipeError, match=r"--run.seed is '2', and its short form is '1'; give one"):
        parse_overrides(["--run.seed", "2"], {"run.seed": 1})


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for present, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda present=present: present)
        assert default_device(None) == expected
        assert default_device("cpu") == "cpu"
