import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snnet.errors import BudgetError, DataError, EngineError, ExportError, SpaceError
from snnet.export.bundle import MANIFEST, Bundle
from snnet.network import SNNet
from tests.bundles import STITCHES


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    """A bundle to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "copied"))


def test_chooses_and_finds_by_number_id_and_value(bundle: Bundle) -> None:
    assert str(bundle.select(macs=11)) == "1:0-2"
    assert bundle.graph(1) == bundle.graph("1:0-2") == bundle.graph(bundle.stitches[1])
    with pytest.raises(BudgetError):
        bundle.select(macs=1)
    with pytest.raises(SpaceError, match=r"has no stitch 0:0-2,1:0-2; it has 3: 0:0-2"):
        bundle.graph("0:0-2,1:0-2")


def test_one_flipped_byte_in_the_weights(copied: Path) -> None:
    weights = copied / "stitches" / "weights.bin"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ExportError, match=r"weights\.bin is damaged: its SHA-256 is another"):
        Bundle.open(copied)
    assert Bundle.open(copied, verify=False).stitches


def test_truncated_weights(copied: Path) -> None:
    weights = copied / "stitches" / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ExportError, match=r"weights\.bin has [\d,]+ bytes and was written with"):
        Bundle.open(copied)


def test_missing_graph(copied: Path) -> None:
    (copied / "stitches" / "1_0-2.onnx").unlink()
    with pytest.raises(ExportError, match=r"1_0-2\.onnx is missing from the bundle"):
        Bundle.open(copied)


def test_newer_version(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps({**manifest, "version": 99}))
    with pytest.raises(ExportError, match="has version 99; this snnet reads up to 1: update it"):
        Bundle.open(copied)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "another"}', '{"format": "snnet-bundle", "version": 1}'])
def test_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ExportError, match=MANIFEST):
        Bundle.open(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["files"].update({"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}}),
            r"a path inside of the fol",
        ),
        (lambda m: m["stitches"][0].update(graph="/etc/passwd"), r"stitches\.0\.graph: a path inside of the folder"),
        (lambda m: m.update(files={}), r"files: stitches/0_0-1,1_1-2\.onnx is not among them"),
        (lambda m: m["files"].pop("stitches/weights.bin"), r"files: stitches/weights\.bin is not among them"),
        (
            lambda m: m["stitches"][0].update(graph=m["stitches"][1]["graph"]),
            r"the graph of 0:0-2 is called stitches/0_0",
        ),
        (lambda m: m.update(files=None), r"files: should be a valid dictionary, got None"),
        (lambda m: m["stitches"][0].update(macs=10**400), r"stitches\.0\.macs.*: a number below 1e308 is accepted"),
        (lambda m: m["stitches"][0].update(top1="99"), r"stitches\.0\.top1.*should be a valid"),
        (lambda m: m["stitches"][1].update(index=0), r"stitches: two have the same index"),
        (lambda m: m["input"].update(std=[0.0]), r"input\.std\.0: should be greater than 0, got 0"),
        (lambda m: m.update(classes=["one"]), r"classes are 1 names, and num_classes is 10"),
    ],
)
def test_a_manifest_that_is_neither_confined_nor_whole(
    change: Callable[[Any], object], message: str, copied: Path
) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    change(manifest)
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ExportError, match=message):
        Bundle.open(copied, verify=False)


def test_graphs_that_were_swapped(copied: Path) -> None:
    first, second = copied / "stitches" / "0_0-2.onnx", copied / "stitches" / "1_0-2.onnx"
    first.write_bytes(second.read_bytes())
    with pytest.raises(ExportError, match=r"0_0-2\.onnx has [\d,]+ bytes|0_0-2\.onnx is damaged"):
        Bundle.open(copied)
    with pytest.raises(EngineError, match=r"0_0-2\.onnx is the graph of stitch 1:0-2; copy or export"):
        Bundle.open(copied, verify=False).session(0)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"There is no bundle at .*: manifest\.json is missing"):
        Bundle.open(tmp_path / "nothing")


def test_opening_and_running_needs_no_torch(written: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
import numpy
from snnet.export.bundle import Bundle
bundle = Bundle.open({str(written)!r})
session = bundle.session(bundle.select(macs=11))
print(session.run(None, {{"images": numpy.zeros((2, *bundle.manifest.input.size), "float32")}})[0].shape)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "(2, 10)"


def test_predicting_needs_no_torch_and_gives_the_answers_of_the_network(
    written: Path, small_net: SNNet, tmp_path: Path
) -> None:
    for number, mode in enumerate(("RGB", "L", "RGBA")):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 50, len(mode)), dtype=np.uint8).squeeze()
        Image.fromarray(pixels, mode).save(tmp_path / f"{number}.png")
    photos = sorted(map(str, tmp_path.glob("*.png")))
    code = f"""
import json, sys
sys.modules["torch"] = sys.modules["torchvision"] = sys.modules["timm"] = None
from snnet.export.bundle import Bundle
bundle = Bundle.open({str(written)!r})
single, several = bundle.predict({photos[0]!r}, macs=11), bundle.predict({photos!r}, "1:0-2")
assert single.label == several[0].label and len(several) == 3
print(json.dumps([[one.label, str(one.stitch), one.probabilities.tolist()] for one in several]))
print(json.dumps(bundle.transform({photos[1]!r}).tolist()))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, pixels = map(json.loads, told.stdout.splitlines())
    assert np.array_equal(np.float32(pixels), small_net.transform(photos[1]).numpy())
    expected = small_net.predict(photos, "1:0-2")
    assert isinstance(expected, list)
    for (label, stitch, probabilities), one in zip(found, expected, strict=True):
        assert (label, stitch) == (one.label, str(one.stitch))
        np.testing.assert_allclose(probabilities, one.probabilities, atol=1e-3)


def test_a_session_is_opened_once_for_many_answers(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.open(written)
    opened: list[object] = []
    monkeypatch.setattr(bundle, "session", lambda stitch: opened.append(stitch) or Bundle.session(bundle, stitch))
    pixels = np.zeros((2, 1, 28, 28), np.float32)
    for stitch in ("0:0-2", "1:0-2", "0:0-2"):
        assert len(bundle.predict(pixels, stitch)) == 2  # type: ignore[arg-type]
    assert list(map(str, opened)) == ["0:0-2", "1:0-2"]


def test_without_stitch_and_budget_the_best_known_answers(copied: Path) -> None:
    pixels = np.zeros((1, 28, 28), np.float32)
    assert str(Bundle.open(copied).predict(pixels).stitch) == "0:0-1,1:1-2"  # type: ignore[union-attr]
    manifest = json.loads((copied / MANIFEST).read_text())
    for row in manifest["stitches"]:
        del row["top1"]
    del manifest["digest"]
    (copied / MANIFEST).write_text(json.dumps(manifest))
    assert str(Bundle.open(copied).predict(pixels).stitch) == "1:0-2"  # type: ignore[union-attr]


def test_a_manifest_that_does_not_say_how_pictures_are_resized(copied: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    del manifest["input"]["crop_pct"], manifest["digest"]  # as version 0.1.0 wrote it
    (copied / MANIFEST).write_text(json.dumps(manifest))
    assert Bundle.open(copied).input.crop_pct == 0.875
    assert "does not say how pictures are resized; taken is crop_pct 0.875" in caplog.text


def test_pictures_that_cannot_be_predicted(bundle: Bundle) -> None:
    with pytest.raises(DataError, match=r"shape \(1, 28, 28\), got \(3, 28, 28\)"):
        bundle.predict(np.zeros((2, 3, 28, 28), np.float32))
    with pytest.raises(DataError, match=r"nothing\.jpg cannot be read"):
        bundle.predict("nothing.jpg")
    with pytest.raises(BudgetError):
        bundle.predict(np.zeros((1, 28, 28), np.float32), macs=1)


def test_stitches_in_order(bundle: Bundle) -> None:
    assert tuple(map(str, bundle.stitches)) == STITCHES
