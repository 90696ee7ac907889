import json
from importlib.resources import files
from pathlib import Path

import pytest
import timm
import torch

import snnet
from snnet.anchors import EMBEDDED_ANCHORS, EMBEDDED_FAMILIES, load_anchor
from snnet.data import open_dataset

ASSETS = Path(str(files("snnet") / "assets" / "anchors"))


def facts(name: str) -> dict[str, float]:
    content: dict[str, float] = json.loads((ASSETS / f"{name}.json").read_text())
    return content


@pytest.mark.parametrize("name", EMBEDDED_ANCHORS)
def test_the_weights_score_what_their_card_says(name: str) -> None:
    anchor = load_anchor(name, pretrained=True).eval()
    assert sum(p.numel() for p in anchor.parameters()) == facts(name)["parameters"]
    data = open_dataset("embedded", split="validation", input=anchor.input)
    images, labels = data.images[::4], torch.as_tensor(data.labels)[::4]
    with torch.inference_mode():
        top1 = 100 * (anchor(images).argmax(dim=1) == labels).float().mean().item()
    # 1,000 of the 10,000 images that the card is about: the standard error is one point.
    assert top1 == pytest.approx(facts(name)["top1_test_10000"], abs=3)


def test_the_vits_are_more_than_a_point_apart() -> None:
    scores = [facts(name)["top1_test_10000"] for name in EMBEDDED_FAMILIES["vit"]]
    assert scores[1] - scores[0] > 1 and scores[2] - scores[1] > 1


@pytest.mark.parametrize(("family", "count"), [("vit", 71), ("cnn", 8), ("swin", 9), ("cnn-vit", 8)])
def test_every_family_joins_and_reproduces_its_anchors(family: str, count: int) -> None:
    net = snnet.stitch(*EMBEDDED_FAMILIES[family], pretrained=True).eval()
    assert len(net.space) == count
    assert [net.anchor(number).name for number in range(len(net.anchors))] == list(EMBEDDED_FAMILIES[family])
    images = torch.randn(2, 1, 28, 28)
    for number, name in enumerate(EMBEDDED_FAMILIES[family]):
        expected = timm.create_model(name, pretrained=True).eval()(images)
        torch.testing.assert_close(net(images, number), expected, rtol=1e-5, atol=1e-5)
    assert all(net(images, stitch).isfinite().all() for stitch in net.space)


def test_the_files_are_small() -> None:
    sizes = {path.stem: path.stat().st_size for path in ASSETS.glob("*.safetensors")}
    assert sizes.keys() == set(EMBEDDED_ANCHORS)
    assert max(sizes.values()) < 8_000_000
    assert sum(size for name, size in sizes.items() if not name.startswith("vit")) < 6 * 2**20
