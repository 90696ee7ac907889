import pytest

from snnet.cli.overrides import parse_overrides
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
