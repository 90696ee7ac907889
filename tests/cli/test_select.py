import json
from pathlib import Path

import pytest

from snnet.table import StitchRow, StitchTable
from tests.cli.conftest import Run


def test_the_best_within_3_gmacs_of_the_published_table(run: Run, reference_dir: Path) -> None:
    file = reference_dir / "deit_ti_s_b.json"
    rows = [r for r in json.loads(file.read_text())["stitches"] if r["macs"] <= 3e9]
    best = max(rows, key=lambda row: row["top1"])
    for budget in ("3e9", "3G", "3000m"):
        assert json.loads(run("select", file, "--macs", budget, "--json").out)["stitch"] == best["stitch"]
    assert best["stitch"] in run("select", file, "--macs", "3e9").out


def test_limits_combine_and_the_column_can_be_another(run: Run, reference_dir: Path) -> None:
    file = reference_dir / "deit_ti_s_b.json"
    found = json.loads(run("select", file, "--macs", "9G", "--params", "30M", "--json").out)
    assert found["macs"] <= 9e9 and found["params"] <= 30e6
    cheapest = json.loads(run("select", file, "--prefer", "macs", "--limit", "top1=80", "--json").out)
    assert cheapest["top1"] >= 80


def test_nothing_fits_exits_with_3_and_names_the_cheapest(run: Run, reference_dir: Path) -> None:
    outcome = run("select", reference_dir / "deit_ti_s_b.json", "--macs", "1e9")
    assert outcome.code == 3
    assert "1,258,411,200" in outcome.err and "0:0-12" in outcome.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--latency-ms", "5"], "snnet profile"),
        (["--macs", "much"], "not a number"),
        (["--macs", "nan"], "not a number"),
        (["--limit", "top1"], "NAME=VALUE"),
        (["--prefer", "top2"], "top1"),
    ],
)
def test_bad_input_exits_with_2(run: Run, reference_dir: Path, options: list[str], words: str) -> None:
    outcome = run("select", reference_dir / "deit_ti_s_b.json", *options)
    assert outcome.code == 2
    assert words in outcome.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--prefer", "miuo"], "Did you mean 'miou'?"),
        (["--prefer", "top1"], "is chosen by 'miou'"),
        (["--top1", "80"], "is chosen by 'miou'"),
    ],
)
def test_scores_of_another_task_are_refused(run: Run, tmp_path: Path, options: list[str], words: str) -> None:
    table = StitchTable([StitchRow(0, "0:0-4", {"macs": 1, "miou": 20.0})], {"score": "miou"})
    outcome = run("select", table.save(tmp_path / "table.jsonl"), *options)
    assert outcome.code == 2 and words in " ".join(outcome.err.split())


def test_a_network_without_scores_says_what_measures_them(run: Run, saved: Path) -> None:
    outcome = run("select", saved, "--macs", "1G")
    assert outcome.code == 2 and "snnet evaluate" in outcome.err


def test_a_network_without_a_table(run: Run, saved: Path) -> None:
    (saved / "table.jsonl").unlink()
    outcome = run("select", saved, "--macs", "1G")
    assert outcome.code == 2 and "snnet profile" in outcome.err
