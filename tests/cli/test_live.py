import io

import pytest
from rich.console import Console

from snnet.cli import live
from snnet.cli.live import curve_and_progress, draw_text
from snnet.table import StitchRow, StitchTable


def table(*values: dict[str, float]) -> StitchTable:
    ids = ("0:0-2", "1:0-2", "0:0-1,1:1-2", "0:0-1,1:0-2", "0:0-2,1:1-2")
    return StitchTable(StitchRow(n, i, v) for n, (i, v) in enumerate(zip(ids, values, strict=False)))


CURVE = table(
    {"macs": 1e9, "top1": 70.0},
    {"macs": 3e9, "top1": 80.0},
    {"macs": 2e9, "top1": 76.0},
    {"macs": 2.5e9, "top1": 72.0},
    {"macs": 1.5e9, "top1": 73.0, "top1_error": 0.4},
)


def test_each_stitch_is_drawn_at_its_cost_and_score_with_its_mark() -> None:
    lines = [text.plain for text in draw_text(CURVE, width=40, height=11)]
    # 40 columns for 2 GMACs from column 8 on, 11 lines for 10 points.
    at = {(x, y): line[x] for y, line in enumerate(lines[:11]) for x in range(8, 48) if line[x] != " "}
    assert at == {(8, 10): "★", (47, 0): "★", (28, 4): "●", (38, 8): "•", (18, 7): "∘"}
    assert lines[0].startswith(" 80.00 ┤") and lines[10].startswith(" 70.00 ┤") and lines[5].startswith(" 75.00 ┤")
    assert lines[12].split() == ["1.00", "G", "3.00", "G", "MACs"]
    assert "5 of 5" in lines[13]


def test_an_anchor_is_seen_where_others_share_its_place() -> None:
    crowd = table(*[{"macs": 1e9, "top1": 70.0}] * 3)
    assert sum(line.plain.count("★") for line in draw_text(crowd)[:-1]) == 1


def test_stitches_without_a_score_are_left_out() -> None:
    assert draw_text(table({"macs": 1e9}, {"macs": 2e9})) == []
    assert "1 of 2" in draw_text(table({"macs": 1e9, "top1": 5.0}, {"macs": 2e9}))[-1].plain


def terminal(monkeypatch: pytest.MonkeyPatch, *, width: int = 100, height: int = 40, tty: bool = True) -> io.StringIO:
    out = io.StringIO()
    shown = Console(file=out, force_terminal=tty, width=width, height=height, color_system=None)
    monkeypatch.setattr(live, "console", lambda stderr=False: shown)
    return out


def show(*, stitches: int = 20, live: bool | None = None) -> None:
    with curve_and_progress("Evaluating", stitches, live=live) as (report, draw):
        report(1, 2, "half")
        draw(CURVE)
        report(2, 2, "done")


def test_a_terminal_with_room_gets_curve_and_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    out = terminal(monkeypatch)
    show()
    last = out.getvalue()[out.getvalue().rindex("anchor") :]
    assert "★" in out.getvalue() and "Evaluating" in last and "2/2" in last


@pytest.mark.parametrize("lacking", [{"width": 60}, {"height": 20}, {"tty": False}])
def test_without_room_or_terminal_there_is_no_curve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lacking: dict[str, int]
) -> None:
    out = terminal(monkeypatch, **lacking)  # type: ignore[arg-type]
    show(live=True)
    # The progress that stands in its place writes to the real stderr.
    assert "★" not in out.getvalue() + capsys.readouterr().err


def test_few_stitches_are_drawn_only_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    out = terminal(monkeypatch)
    show(stitches=5)
    assert "★" not in out.getvalue()
    show(stitches=5, live=True)
    assert "★" in out.getvalue()
