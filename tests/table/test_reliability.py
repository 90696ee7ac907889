import warnings
from typing import Any

import pytest

from snnet.errors import MeasurementWarning
from snnet.table import StitchRow, StitchTable, cells, doubts, select


def table(times: list[tuple[float, float, float]], batch: str = "") -> StitchTable:
    """Stitch n does n + 1 GMACs, scores 50 + n, and took what is given: the median and the ends of its interval."""
    names = [f"latency_ms{part}{batch}" for part in ("", "_low", "_high")]
    rows = [
        StitchRow(n, f"0:0-{n + 1}", {"macs": 1e9 * (n + 1), "top1": 50.0 + n, **dict(zip(names, time, strict=True))})
        for n, time in enumerate(times)
    ]
    return StitchTable(rows)


def steady(count: int, width: float = 0.02) -> list[tuple[float, float, float]]:
    """Ten milliseconds and two more from stitch to stitch, measured as exactly as is said."""
    return [(t, t * (1 - width / 2), t * (1 + width / 2)) for t in (10.0 + 2 * n for n in range(count))]


def test_a_quiet_machine_leaves_no_doubts() -> None:
    assert not doubts(table(steady(12)))
    assert not doubts(table(steady(1, 0.4)))
    # No stitch is told from another, and each is known well enough for any budget.
    assert not doubts(table([(10.0, 9.6, 10.4)] * 8))


def test_an_interval_is_wide_by_itself_or_against_the_differences() -> None:
    times = steady(12)
    times[5] = (20.0, 14.9, 25.1)
    assert doubts(table(times)) == {"0:0-6": "between 14.9 and 25.1 ms"}
    times[5] = (20.0, 17.0, 23.0)
    assert not doubts(table(times)), "it holds two of eleven others"
    times[5] = (20.0, 15.9, 24.1)
    assert list(doubts(table(times))) == ["0:0-6"], "it holds four of eleven others"
    assert list(doubts(table([(10.0, 7.0, 13.0)]))) == ["0:0-1"]
    assert len(doubts(table([(10.0, 9.0, 11.1)] * 8))) == 8


def test_an_order_that_cannot_be() -> None:
    times = [(15.0 + n, 14.9 + n, 15.1 + n) for n in range(12)]
    times[7] = (0.4, 0.39, 0.41)
    assert doubts(table(times)) == {"0:0-8": "0.4 ms, where stitches of fewer MACs take 18 ms"}
    times[7] = (400.0, 399.0, 401.0)
    assert doubts(table(times)) == {"0:0-8": "400 ms, where stitches of more MACs take 25 ms"}
    # Somewhat slower with fewer is what depthwise convolutions are.
    times[7] = (13.0, 12.9, 13.1)
    assert not doubts(table(times))


def test_nothing_is_said_of_what_has_no_interval_or_is_no_time() -> None:
    alone = table(steady(3, 1.5)).without("latency_ms_low", "latency_ms_high")
    assert not doubts(alone)
    assert all(not doubts(table(steady(3, 1.5)), name) for name in ("macs", "top1", "memory_mb", "latency_ms@8"))
    assert all(len(doubts(table(steady(3, 1.5)), name)) == 3 for name in ("latency_ms", "latency_ms_p95", "throughput"))
    assert len(doubts(table(steady(3, 1.5), "@8"), "latency_ms@8")) == 3


def test_a_mark_and_the_interval_are_shown() -> None:
    times = steady(4)
    times[2] = (400.0, 25.0, 1587.0)
    found = table(times)
    assert cells(found, found, ["latency_ms"])[1:3] == [["12.000"], ["400.000 ? (25.000 to 1587.000)"]]
    assert "400.000 ? (25.000 to 1587.000)" in repr(found) and "(25.000 to 1587.000)" in found._repr_html_()
    assert repr(found).count("?") == 1


def warned(found: StitchTable, **options: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        select(found, **options)
    assert all(one.category is MeasurementWarning and one.filename == __file__ for one in told)
    return [str(one.message) for one in told]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"latency_ms": 13}, 1),  # 3 is better, and may have taken less
        ({"latency_ms": 17}, 0),  # 4 is the best and beyond doubt
        ({"macs": 2e9}, 0),
        ({"latency_ms": 13, "macs": 2e9}, 0),  # of two GMACs there are others
        ({"prefer": "latency_ms"}, 1),
        ({"prefer": "latency_ms", "top1": 53}, 0),
        ({"prefer": "latency_ms", "top1": 52}, 1),
    ],
)
def test_select_warns_where_it_depends_on_them(options: dict[str, Any], count: int) -> None:
    times = steady(4)
    times[2] = (400.0, 25.0, 1587.0)
    told = warned(table(times), **options)
    assert len(told) == count
    for message in told:
        assert "latency_ms, which is unreliable for 1 of 4 stitches, such as 0:0-3: between 25 and 1587 ms" in message
        assert "`snnet profile`" in message
