"""`snnet export` writes one checked file, and says what is wrong with a request."""

import json
from pathlib import Path

import pytest
import torch

from snnet.export.bundle import Bundle
from snnet.network import load
from tests.bundles import STITCHES, build_small_net
from tests.cli.conftest import Run
from tests.data.image_files import write_split


def test_a_file_that_runs_alone(run: Run, saved: Path, tmp_path: Path) -> None:
    outcome = run("export", saved, "--stitch", "0:0-2,1:2-4", "--output", tmp_path / "a.pt2")
    assert outcome.code == 0, outcome.err
    assert "a.pt2: stitch 0:0-2,1:2-4" in outcome.out and "format torch" in outcome.out
    assert "on random images" in outcome.out and "on real images" in outcome.out
    images = torch.randn(3, 1, 28, 28)
    found = torch.export.load(tmp_path / "a.pt2").module()(images)
    torch.testing.assert_close(found, load(saved)(images, "0:0-2,1:2-4"))


def test_json_and_images_of_ones_own(run: Run, saved: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    write_split(tmp_path / "pets" / "val", per_class=2)
    tokens = ("--format", "onnx", "--output", tmp_path / "a.onnx", "--data", "folder", "--root", tmp_path / "pets")
    outcome = run("export", saved, "--stitch", "3", *tokens, "--json")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert (report["format"], report["bytes"]) == ("onnx", (tmp_path / "a.onnx").stat().st_size)
    assert report["stitch"] == load(saved).space[3].id and set(report["errors"]) == {"random", "real"}


def test_bad_requests(run: Run, saved: Path, tmp_path: Path) -> None:
    for tokens, words in (
        (("--stitch", "99", "--output", tmp_path / "a.onnx"), "99"),
        (
            ("--stitch", "0", "--output", tmp_path / "a.tflite"),
            "with one of .onnx (onnx), .xml (openvino), .pt2",
        ),
        (("--stitch", "0", "--output", tmp_path / "a.onnx", "--format", "onx"), "Unknown export format 'onx'"),
        (("--stitch", "0", "--output", tmp_path / "a.onnx", "--format", "torch"), "call it a.pt2"),
    ):
        outcome = run("export", saved, *tokens)
        assert outcome.code == 2, tokens
        assert words in outcome.err.replace("\n", " "), outcome.err
    assert [file.name for file in tmp_path.iterdir()] == ["net"]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The small network, to be stored as its anchors can be: by name."""
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    folder = tmp_path / "net"
    build_small_net().save_pretrained(folder)
    return folder


def test_a_bundle_of_the_frontier(run: Run, network: Path, tmp_path: Path) -> None:
    told = run("export", network, "--format", "onnx-bundle", "--stitches", STITCHES[2], "--output", tmp_path / "out")
    assert told.code == 0, told.err
    assert "1 stitch, weights" in told.out and STITCHES[2] in told.out
    assert [str(stitch) for stitch in Bundle.open(tmp_path / "out").stitches] == [STITCHES[2]]


def test_quantized_with_accuracies_before_and_after(run: Run, network: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    _make_images(images)
    told = run(
        *("export", network, "--format", "onnx-bundle", "--stitches", "0", "--output", tmp_path / "out", "--json"),
        *("--quantize", "static", "--calibration-images", 4, "--data", "folder", "--root", images),
    )
    assert told.code == 0, told.err
    facts = json.loads(told.out)
    assert facts["quantization"] == {"mode": "static", "weights": "int8", "per_channel": True, "calibration_images": 4}
    assert {"top1", "top1_float"} <= facts["table"][0].keys()


def _make_images(root: Path) -> None:
    from PIL import Image

    for split in ("train", "val"):
        for number in range(10):
            folder = root / split / f"class {number}"
            folder.mkdir(parents=True)
            Image.new("L", (28, 28), number * 20).save(folder / "image.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stitches", "all"], "--stitches is for bundles; add --format onnx-bundle"),
        (["--quantize", "static", "--stitch", "0"], "--quantize is for bundles; add --format onnx-bundle"),
        (["--format", "onnx-bundle", "--keep-float"], "--keep-float is about bundles that are quantized"),
        ([], "Name the stitch with --stitch NUMBER or ID"),
    ],
)
def test_options_that_do_not_fit(run: Run, network: Path, tmp_path: Path, options: list[str], message: str) -> None:
    told = run("export", network, *options, "--output", tmp_path / "out.onnx")
    assert told.code != 0 and message in " ".join(told.err.split())
