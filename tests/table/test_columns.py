from collections.abc import Iterator

import pytest

from snnet.errors import BudgetError, RecipeError
from snnet.table import COLUMNS, Column, StitchRow, StitchTable, at_batch, column, kinds_of, select
from snnet.table.columns import in_order


@pytest.mark.parametrize("name", ["top1", "top5", "throughput", "throughput@8", "top10", "top1_float"])
def test_scores_and_throughput_are_better_when_higher(name: str) -> None:
    assert column(name).higher_is_better
    assert column(name).badness(2) < column(name).badness(1)


@pytest.mark.parametrize(
    "name", ["macs", "params", "loss", "latency_ms", "latency_ms@8", "memory_bytes", "throughput_error", "speed"]
)
def test_everything_else_is_better_when_lower(name: str) -> None:
    assert not column(name).higher_is_better
    assert column(name).badness(1) < column(name).badness(2)


def test_columns_of_a_machine_are_named_by_batch() -> None:
    assert at_batch("latency_ms", 8) == "latency_ms@8" and at_batch("latency_ms_p95", 8) == "latency_ms_p95@8"
    assert at_batch("latency_ms", 1) == at_batch("latency_ms", None) == "latency_ms"
    # A batch that is named stays, and what every batch has in common has none.
    assert at_batch("memory_mb@4", 8) == "memory_mb@4" and at_batch("macs", 8) == "macs"
    for wrong in (0, 2.5, True):
        with pytest.raises(BudgetError, match="is not a number of images"):
            at_batch("latency_ms", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "heading", "title", "value", "text"),
    [
        ("macs", "MACs", "MACs", 1_258_411_200, "1.26 G"),
        ("params_published", "params published", "Parameters published", 5_717_416, "5.72 M"),
        ("top1", "top-1 %", "Top-1", 72.1, "72.10"),
        ("top10", "top-10 %", "Top-10", 72.1, "72.10"),
        ("top1_error", "± top-1 %", "Top-1", 0.25, "0.25"),
        ("loss", "loss", "Loss", 1.5, "1.500"),
        ("latency_ms_p95@8", "ms p95@8", "Latency p95, batch 8", 8.5, "8.500"),
        ("latency_ms@8_error", "± ms@8", "Latency, batch 8", 0.5, "0.500"),
        ("throughput", "images/s", "Throughput", 12345.6, "12,346"),
        ("memory_mb@4", "memory MB@4", "Memory, batch 4", 2.25, "2.250"),
        ("my_own@8", "my_own@8", "my_own@8", 3, "3.000"),
    ],
)
def test_headings_titles_and_numbers(name: str, heading: str, title: str, value: float, text: str) -> None:
    known = column(name)
    assert (known.name, known.heading, known.title, known.text(value)) == (name, heading, title, text)
    assert known.text(None) == "-"


def test_what_a_name_says() -> None:
    known = column("latency_ms_p95@8_error")
    assert (known.kind, known.part, known.batch, known.is_error) == ("latency_ms", "p95", 8, True)
    assert (known.role, known.per_batch, known.command, known.is_budget) == ("cost", True, "snnet profile", False)
    assert column("macs").is_counted and column("params").is_counted and not known.is_counted
    assert [kind.name for kind in kinds_of("score")][:2] == ["top1", "top5"]
    # Nobody measures top-10, so nothing is said to.
    assert column("top10").command is None and column("top5").command == "snnet evaluate"


def test_standard_columns_come_first_and_others_as_they_are_found() -> None:
    assert in_order(["speed", "top1", "latency_ms_p95", "macs", "latency_ms"]) == (
        *("macs", "top1", "latency_ms", "latency_ms_p95", "speed"),
    )


@pytest.fixture
def panoptic() -> Iterator[Column]:
    kind = COLUMNS.register("panoptic")(
        Column(name="panoptic", label="PQ", unit="%", role="score", higher_is_better=True)
    )
    yield kind
    del COLUMNS._entries["panoptic"]


def test_a_score_of_another_task_is_one_registration(panoptic: Column) -> None:
    rows = [StitchRow(0, "0:0-2", {"macs": 1, "panoptic": 60.0}), StitchRow(1, "1:0-2", {"macs": 2, "panoptic": 70.0})]
    assert str(select(StitchTable(rows), prefer="panoptic")) == "1:0-2"
    assert column("panoptic").heading == "PQ %" and column("panoptic@2").role == "score"
    with pytest.raises(RecipeError, match="already a column named 'panoptic'"):
        COLUMNS.register("panoptic")(Column(name="panoptic", label="another"))


def test_a_kind_that_is_registered_changes_what_was_known_of_the_name(request: pytest.FixtureRequest) -> None:
    assert not column("panoptic").higher_is_better
    request.getfixturevalue("panoptic")
    assert column("panoptic").higher_is_better
