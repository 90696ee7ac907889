import pytest

from snnet.cli.values import default_device, human, parse_amount


@pytest.mark.parametrize(("text", "value"), [("3e9", 3e9), ("3G", 3e9), ("30m", 30e6), ("1.5k", 1500), ("8", 8)])
def test_amounts(text: str, value: float) -> None:
    assert parse_amount(text) == value


@pytest.mark.parametrize("text", ["", "G", "nan", "3 GB", "three"])
def test_no_amounts(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_amount(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(4608338304, "4.61 G"), (13_950_000, "13.9 M"), (118_400_000, "118 M"), (950, "950"), (None, "-")],
)
def test_counts_for_people(value: float | None, text: str) -> None:
    assert human(value) == text


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for present, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda present=present: present)
        assert default_device(None) == expected
        assert default_device("cpu") == "cpu"
