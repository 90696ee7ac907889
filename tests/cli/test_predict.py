import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import snnet
from snnet.export.bundle import write_bundle
from snnet.network import MapPrediction, MaskPrediction, Prediction, SNNet
from snnet.table import StitchTable
from snnet.tasks import Depth
from tests.cli.conftest import Run
from tests.helpers.mapped import CLASSES as SEEN
from tests.helpers.mapped import build_dense_net

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


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    net = build_dense_net()
    net.save_pretrained(tmp_path / "dense")
    return tmp_path / "dense"


def test_masks_are_written_beside_pictures_and_shares_printed(run: Run, dense: Path, photos: Path) -> None:
    outcome = run("predict", dense, photos, "--stitch", 2)
    assert outcome.code == 0, outcome.err
    net = snnet.load(dense)
    for path in (photos / "a.png", photos / "b.jpg", photos / "inner" / "c.webp"):
        found = net.predict(path, 2)
        assert isinstance(found, MaskPrediction)
        with Image.open(path.with_name(f"{path.stem}.mask.png")) as mask:
            assert mask.size == (40, 30) and np.array_equal(np.asarray(mask), found.mask)
        lines = [line for line in outcome.out.splitlines() if line.endswith(f"  {path}")]
        assert [line.split(" %  ")[1].split()[0] for line in lines] == [each.name for each in found.shares]
        assert [float(line.split(" %")[0]) for line in lines] == pytest.approx(
            [100 * each.share for each in found.shares], abs=0.01
        )
    again = run("predict", dense, photos, "--stitch", 2, "--top", 1, "--json")
    told = [json.loads(line) for line in again.out.splitlines()]
    assert [Path(one["image"]).name for one in told] == ["a.png", "b.jpg", "c.webp"], "masks of before are no pictures"
    assert told[0]["mask"] == str(photos / "a.mask.png") and told[0]["shares"][0]["name"] in SEEN


def test_where_masks_go(run: Run, dense: Path, scored: Path, photos: Path, tmp_path: Path) -> None:
    picture = photos / "a.png"
    assert run("predict", dense, picture, "--output", tmp_path / "mine.png").code == 0
    assert (tmp_path / "mine.png").is_file() and not (photos / "a.mask.png").exists()
    (photos / "bad.jpg").write_text("no image")
    shutil.copy(photos / "b.jpg", photos / "a.jpg")
    outcome = run("predict", dense, photos, "--output", tmp_path / "masks")
    assert outcome.code == 2 and "2 of 5 could not be predicted" in outcome.err
    assert "bad.jpg is not an image" in outcome.err and "name the two otherwise" in outcome.err
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {f"{name}.mask.png" for name in "abc"}
    for network, words, *pictures in (
        (dense, "one file, and there are several pictures", photos),
        (dense, "one file, and there are several pictures", picture, photos / "b.jpg"),
        (scored, "this network gives one answer for each picture", picture),
    ):
        outcome = run("predict", network, *pictures, "--output", tmp_path / "x.png")
        assert outcome.code == 2 and words in " ".join(outcome.err.split()) and not (tmp_path / "x.png").exists()


@pytest.mark.slow
def test_depth_maps_of_a_bundle_without_torch(run: Run, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    net = build_dense_net()
    net.set_head("linear", 1, task=Depth())
    write_bundle(net, tmp_path / "bundle", [2])
    code = f"""
import sys
sys.modules["torch"] = sys.modules["timm"] = None
from snnet.cli import main
sys.exit(main(["predict", {str(tmp_path / "bundle")!r}, {str(photos / "a.png")!r}, "--json"]))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = net.predict(photos / "a.png", 2)
    assert isinstance(expected, MapPrediction)
    facts = json.loads(told.stdout)
    assert facts["map"] == str(photos / "a.depth.png") and facts["mean"] == pytest.approx(
        expected.values.mean(), rel=1e-4
    )
    with Image.open(photos / "a.depth.png") as depth:
        np.testing.assert_allclose(np.asarray(depth) / 256, expected.values, atol=1 / 256)
    outcome = run("predict", tmp_path / "bundle", photos / "a.png", "--output", tmp_path / "a.npy")
    assert outcome.code == 0 and "on average" in outcome.out
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected.values, rtol=1e-4)
