import json
import subprocess
import sys
from pathlib import Path

import pytest

from snnet.profiling import count_costs
from tests.cli.conftest import Run
from tests.helpers.routes import build_free_net

DEIT = ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")


def test_deit_lists_71_with_number_id_and_blocks(run: Run) -> None:
    outcome = run("space", *DEIT)
    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert lines[-1].startswith("71 stitches")
    assert lines[1].split() == ["0", "0:0-12", "12", "·", "·"]
    assert lines[71].split() == ["70", "1:0-12,2:11-12", "·", "12", "1"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--no-nearest"], 732),
        (["--kernel-size", "2", "--stride", "2"], 51),
        (["--kernel-size", "3", "--stride", "3"], 75),
        (["--kernel-size", "4", "--stride", "4"], 99),
    ],
)
def test_counts(run: Run, options: list[str], count: int) -> None:
    for sources in (DEIT, ("12", "12", "12")):
        found = json.loads(run("space", *sources, *options, "--json").out)
        assert found["count"] == len(found["stitches"]) == count


def test_json_has_number_id_and_blocks(run: Run) -> None:
    found = json.loads(run("space", *DEIT, "--json").out)
    assert found["anchors"] == list(DEIT)
    assert found["depths"] == [[12], [12], [12]]
    assert found["stitches"][3] == {"index": 3, "stitch": "0:0-1,1:0-12", "blocks": [1, 12, 0]}


def test_the_published_order(run: Run, reference_dir: Path) -> None:
    published = json.loads((reference_dir / "deit_ti_s_b.json").read_text())["stitches"]
    found = json.loads(run("space", *DEIT, "--json").out)["stitches"]
    assert [row["stitch"] for row in found] == [row["stitch"] for row in published]


def test_direction_and_stages(run: Run) -> None:
    assert json.loads(run("space", "12", "12", "--direction", "both", "--json").out)["count"] > 36
    hierarchical = ("2-2-6-2", "2-2-18-2")
    one, two = (json.loads(run("space", *hierarchical, "--stages", *s, "--json").out)["count"] for s in ("2", "12"))
    assert two > one


def test_a_saved_network_has_a_space(run: Run, saved: Path) -> None:
    assert run("space", saved).out.splitlines()[-1].startswith("23 stitches")
    outcome = run("space", saved, "--stride", "2")
    assert outcome.code == 2 and "stride" in outcome.err


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ([], "two or more anchors"),
        (["12"], "at least two"),
        (["12", "12", "--kernel-size", "0"], "greater than or equal to 1"),
        (["deit_tiny_patch16_225", DEIT[1]], "Did you mean 'deit_tiny_patch16_224'"),
        (["12", "12", "--direction", "fast"], "fast-to-slow"),
        (["12", "12", "--image-size", "224"], "take no --image-size"),
    ],
)
def test_bad_input(run: Run, tokens: list[str], words: str) -> None:
    outcome = run("space", *tokens)
    assert outcome.code == 2
    assert words in outcome.err and "Traceback" not in outcome.err


def test_in_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snnet", "space", "12", "12", "12", "--no-nearest"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1].startswith("732 stitches")


@pytest.mark.parametrize("anchors", [1, 2])
def test_saved_networks_of_any_routes(run: Run, anchors: int, tmp_path: Path) -> None:
    net = build_free_net(anchors)
    scores = {stitch.id: 60.0 + number for number, stitch in enumerate(net.space)}
    net.table = count_costs(net).with_column("top1", scores)
    net.save_pretrained(tmp_path / "net")
    listed = json.loads(run("space", tmp_path / "net", "--json").out)
    assert [row["stitch"] for row in listed["stitches"]] == [stitch.id for stitch in net.space]
    told = run("space", tmp_path / "net").out.splitlines()
    assert told[-1] == net.space.counts
    for stitch in net.space:  # blocks of each anchor, those that run twice counted twice
        blocks = [sum(len(part) for part in stitch.segments if part.anchor == number) for number in range(anchors)]
        line = next(line.split() for line in told if stitch.id in line.split())
        assert line[2:] == [str(count) if count else "·" for count in blocks]
    counted = json.loads(run("cost", tmp_path / "net", "--json").out)
    assert [row["macs"] for row in counted["stitches"]] == [row.macs for row in net.table]
    most = max(row.macs for row in net.table if row.stitch == net.space[-1].id)
    assert run("select", tmp_path / "net", "--macs", most).out.split()[0] == net.space[-1].id
    outcome = run("report", tmp_path / "net", "--output", tmp_path / "report")
    assert outcome.code == 0 and (tmp_path / "report" / "index.html").is_file(), outcome.err
