import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import snnet
from snnet.network import Prediction, SNNet
from snnet.table import StitchTable
from tests.cli.conftest import Run

CLASSES = ("cat", "dog", "a class with quite a long name", *"defghij")


@pytest.fixture
def scored(saved: Path) -> Path:
    """A saved network whose classes have names and whose stitches have scores; the dearer, the better."""
    net = snnet.load(saved)
    net.classes = CLASSES
    assert net.table is not None
    net.table = net.table.with_column("top1", {row.stitch: 50.0 + row.index for row in net.table})
    net.save_pretrained(saved)
    return saved


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(("a.png", "b.jpg", "inner/c.webp")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    (folder / "notes.txt").write_text("not an image, and not taken for one")
    return folder


def one(net: SNNet, path: Path, stitch: object) -> Prediction:
    found = net.predict(path, stitch)  # type: ignore[arg-type]
    assert isinstance(found, Prediction)
    return found


def test_pictures_and_folders_in_lines_of_80_columns(run: Run, scored: Path, photos: Path) -> None:
    outcome = run("predict", scored, photos, photos / "a.png", "--stitch", 4)
    assert outcome.code == 0
    net, paths = snnet.load(scored), [photos / "a.png", photos / "b.jpg", photos / "inner" / "c.webp", photos / "a.png"]
    for line, path in zip(outcome.out.splitlines(), paths, strict=True):
        found = one(net, path, 4)
        percent, rest = line.split(" %  ")
        assert float(percent) == pytest.approx(100 * found.probability, abs=0.01)
        assert rest.startswith(str(found.label)) and rest.endswith(f"  {path}")
        assert len(line.removesuffix(str(path))) < 50
    assert "Stitch 0:0-1,1:1-4 of" in outcome.err or f"Stitch {net.space[4]} of" in outcome.err


def test_json_lines(run: Run, scored: Path, photos: Path) -> None:
    outcome = run("predict", scored, photos, "--stitch", "0:0-4", "--top", 3, "--json")
    net = snnet.load(scored)
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert [Path(line["image"]).name for line in lines] == ["a.png", "b.jpg", "c.webp"]
    for line in lines:
        expected = one(net, Path(line["image"]), 0).top(3)
        assert line["stitch"] == "0:0-4"
        assert [label["name"] for label in line["labels"]] == [label.name for label in expected]
        assert [p["probability"] for p in line["labels"]] == pytest.approx([p.probability for p in expected], abs=1e-5)


def test_the_budget_chooses(run: Run, scored: Path, photos: Path) -> None:
    table = StitchTable.load(scored / "table.jsonl")
    limit = sorted(row.macs for row in table)[3]

    def stitch(*options: object) -> str:
        outcome = run("predict", scored, photos / "a.png", *options, "--json")
        assert outcome.code == 0, outcome.err
        return str(json.loads(outcome.out)["stitch"])

    assert stitch("--macs", limit) == str(snnet.select(table, macs=limit))
    assert stitch("--prefer", "macs", "--limit", "top1=53") == str(snnet.select(table, prefer="macs", top1=53))
    assert stitch() == str(snnet.select(table))
    outcome = run("predict", scored, photos / "a.png", "--macs", 1)
    assert outcome.code == 3 and "lowest macs" in outcome.err and not outcome.out


def test_a_budget_that_nothing_fits_is_refused_without_torch(scored: Path, photos: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
from snnet.cli import main
sys.exit(main(["predict", {str(scored)!r}, {str(photos)!r}, "--macs", "1"]))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 3 and "lowest macs" in told.stderr


def test_the_others_are_answered_where_a_file_is_no_image(run: Run, scored: Path, photos: Path) -> None:
    empty = photos / "empty"
    empty.mkdir()
    (photos / "bad.jpg").write_text("no image")
    outcome = run("predict", scored, photos, empty, photos / "gone.png", "--stitch", 0)
    assert outcome.code == 2
    assert len(outcome.out.splitlines()) == 3
    for words in ("bad.jpg is not an image", "is a folder of 0 images", "gone.png cannot be read", "3 of 6 could not"):
        assert words in outcome.err
    lines = run("predict", scored, photos, "--stitch", 0, "--json").out.splitlines()
    assert [set(map(str, json.loads(line))) for line in lines][2] == {"image", "error"} and len(lines) == 4


def test_many_are_read_in_parts(run: Run, scored: Path, photos: Path) -> None:
    pictures = [photos / "a.png", photos / "b.jpg"] * 3
    whole = run("predict", scored, *pictures, "--stitch", 0).out
    assert len(whole.splitlines()) == 6
    parts = run("predict", scored, *pictures, "--batch", 4, "--macs", "1G", "--prefer", "macs").out
    assert [line.split("%")[1] for line in parts.splitlines()] == [line.split("%")[1] for line in whole.splitlines()]


def test_without_names_labels_are_numbers_and_that_is_said(run: Run, saved: Path, photos: Path) -> None:
    outcome = run("predict", saved, photos / "a.png", "--json")
    assert "knows no names of its classes" in outcome.err and "Stitch 2:0-4" in outcome.err
    assert json.loads(outcome.out)["labels"][0]["name"] in range(10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (lambda photos: [], "no image to predict"),
        (lambda photos: [photos / "a.png", "--stitch", "999"], "No stitch '999'"),
        (lambda photos: [photos / "a.png", "--stitch", "0", "--macs", "1G"], "both given"),
        (lambda photos: [photos / "a.png", "--top", "0"], "Must be >= 1"),
    ],
)
def test_bad_input_exits_with_2(
    run: Run, scored: Path, photos: Path, options: Callable[[Path], list[object]], words: str
) -> None:
    outcome = run("predict", scored, *options(photos))
    assert outcome.code == 2 and words in outcome.err and not outcome.out


def test_a_bundle_answers_alike_and_without_torch(
    run: Run, written: Path, small_net: SNNet, photos: Path, tmp_path: Path
) -> None:
    small_net.save_pretrained(tmp_path / "net")
    code = f"""
import sys
sys.modules["torch"] = sys.modules["timm"] = None
from snnet.cli import main
sys.exit(main(["predict", {str(written)!r}, {str(photos)!r}, "--stitch", "0:0-1,1:1-2", "--json"]))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = run("predict", tmp_path / "net", photos, "--stitch", "0:0-1,1:1-2", "--json").out.splitlines()
    for ours, theirs in zip(map(json.loads, told.stdout.splitlines()), map(json.loads, expected), strict=True):
        assert (ours["image"], ours["stitch"]) == (theirs["image"], theirs["stitch"])
        [one], [other] = ours["labels"], theirs["labels"]
        assert one["name"] == other["name"] and one["probability"] == pytest.approx(other["probability"], abs=1e-3)
    refused = run("predict", written, photos, "--device", "cuda")
    assert refused.code == 2 and "is a bundle, which runs on the CPU" in refused.err
