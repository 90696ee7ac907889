import pytest

from snnet.utils import counted, fixed, human, parse_amount


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


@pytest.mark.parametrize(
    ("value", "text"),
    # Rounding may add a digit; neither it nor a small number may bring in an exponent or a fourth decimal.
    [
        (4.608, "4.61"),
        (13.95, "13.9"),
        (999.7, "1000"),
        (9.999, "10.00"),
        (0.01234, "0.012"),
        (1e-9, "0.000"),
        (0, "0.00"),
    ],
)
def test_numbers_have_three_digits_as_far_as_three_decimals_reach(value: float, text: str) -> None:
    assert fixed(value) == text


def test_no_count_has_an_exponent() -> None:
    assert human(999.7) == "1000" and human(999_700) == "1000 k" and human(-4608338304) == "-4.61 G"


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "image", "1 image"),
        (0, "image", "0 images"),
        (12345, "test image", "12,345 test images"),
        (2, "stitch", "2 stitches"),
        (2, "class", "2 classes"),
        (3, "entry", "3 entries"),
        (2, "day", "2 days"),
        ("some", "image", "some images"),
        (None, "thread", "None threads"),
    ],
)
def test_counts_before_nouns(count: object, noun: str, text: str) -> None:
    assert counted(count, noun) == text
