"""`snnet export` writes one checked file, and says what is wrong with a request."""

import json
from pathlib import Path

import pytest
import torch

from snnet.network import load
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
