import logging
from pathlib import Path

import torch

import snnet
from snnet.anchors import EMBEDDED_FAMILIES
from snnet.data import calibration_images, open_dataset
from tests.cli.conftest import Run
from tests.data.image_files import write_split


def test_init_prints_residuals_and_saves_the_network(run: Run, tmp_path: Path) -> None:
    outcome = run(
        "init", "vit_fm_tiny", "vit_fm_small", "--no-pretrained", "--images", "4", "--output", tmp_path / "net"
    )
    assert outcome.code == 0
    assert "stage0_0to1_0" in outcome.out and "relative residual" in outcome.out
    net = snnet.load(tmp_path / "net")
    assert len(net.space) == 36
    assert net.table is not None and net.table[0].macs > 0


def test_python_makes_the_same_network_as_the_command(run: Run, tmp_path: Path) -> None:
    sizes = ("--images", "6", "--recalibration-images", "8", "--device", "cpu")
    cnn = EMBEDDED_FAMILIES["cnn"]
    assert run("init", *cnn, *sizes, "--output", tmp_path / "net").code == 0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = snnet.stitch(*cnn, pretrained=True)
    images = calibration_images(open_dataset("embedded", split="train", input=net.input), 8)
    snnet.initialize(net, images, max_images=6, recalibration_images=8)
    saved = snnet.load(tmp_path / "net").state_dict()
    assert len(net.statistics) and saved.keys() == net.state_dict().keys()
    assert all(torch.equal(value, saved[name]) for name, value in net.state_dict().items())


def test_space_settings_reach_the_network(run: Run, tmp_path: Path) -> None:
    tokens = ("init", "vit_fm_tiny", "vit_fm_small", "--no-pretrained", "--images", "2", "--kernel-size", "3")
    assert run(*tokens, "--stride", "3", "--output", tmp_path / "net").code == 0
    assert len(snnet.load(tmp_path / "net").space) == 38


def test_bad_input(run: Run, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"nothing")
    for tokens, words in (
        (("vit_fm_tiny",), "at least two"),
        (("vit_fm_tiny", "vit_fm_smal", "--no-pretrained"), "vit_fm_small"),
        (("vit_fm_tiny", f"vit_fm_small@{tmp_path / 'weights.pth'}", "--no-pretrained"), "weights.pth"),
        (("vit_fm_tiny", "deit_tiny_patch16_224", "--no-pretrained"), "number of classes is 10"),
    ):
        outcome = run("init", *tokens, "--output", tmp_path / "net")
        assert outcome.code == 2, tokens
        assert words in outcome.err, (tokens, outcome.err)
    assert not (tmp_path / "net").exists()


def test_an_output_among_the_images_is_refused(run: Run, tmp_path: Path) -> None:
    write_split(tmp_path)
    family = ("vit_fm_tiny", "vit_fm_small", "--data", "folder", "--root", tmp_path)
    outcome = run("init", *family, "--output", tmp_path / "net")
    assert outcome.code == 2 and "among the class folders" in outcome.err
    assert not (tmp_path / "net").exists()


def test_what_was_found_is_said_once(run: Run, tmp_path: Path) -> None:
    write_split(tmp_path / "images")
    (tmp_path / "images" / "cat" / "x.heic").touch()
    family = ("vit_fm_tiny", "vit_fm_small", "--data", "folder", "--root", tmp_path / "images")
    outcome = run("init", *family, "--output", tmp_path / "net", "--images", 4)
    assert outcome.code == 0, outcome.err
    told = "12 images of the train split; 2 classes; read as 28x28 pixels in grey; left out, by ending: 1 .heic."
    assert outcome.err.count(told) == 1
    assert not logging.getLogger("snnet.data.datasets").handlers
