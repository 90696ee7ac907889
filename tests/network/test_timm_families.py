"""The page of timm's families says what comes out."""

import pytest
from scripts.timm_families import PAGE, families, row

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("names", families(), ids=" ".join)
def test_a_family_is_placed_or_refused_as_the_page_says(names: tuple[str, str]) -> None:
    assert row(*names) in PAGE.read_text(encoding="utf-8").splitlines()


def test_there_are_many_and_most_are_placed() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    placed = [line for line in lines if "not taken apart" not in line]
    assert len(lines) >= 60 and len(placed) >= 60
