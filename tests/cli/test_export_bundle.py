import json
from pathlib import Path

import pytest

from snnet.export.bundle import Bundle
from tests.cli.conftest import Run
from tests.export.bundle.conftest import STITCHES, build_small_net

pytest.importorskip("onnxruntime")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The small network, to be stored as its anchors can be: by name."""
    folder = tmp_path / "net"
    build_small_net().save_pretrained(folder)
    return folder


def test_a_bundle_of_the_frontier(run: Run, network: Path, tmp_path: Path) -> None:
    told = run("export", network, "--format", "onnx-bundle", "--stitches", STITCHES[2], "--output", tmp_path / "out")
    assert told.code == 0, told.err
    assert "1 stitches, weights" in told.out and STITCHES[2] in told.out
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
        ([], "Name the stitch with --stitch NUMBER or ID"),
    ],
)
def test_options_that_do_not_fit(run: Run, network: Path, tmp_path: Path, options: list[str], message: str) -> None:
    told = run("export", network, *options, "--output", tmp_path / "out.onnx")
    assert told.code != 0 and message in " ".join(told.err.split())
