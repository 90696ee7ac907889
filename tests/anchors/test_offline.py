"""Models of the hub, given by a copy of their files, and rebuilt when neither hub nor copy is there."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from timm.models import save_for_hf
from torch import Tensor

from snnet.anchors import AnchorSource, load_anchor
from snnet.network import SNNet, load, stitch

CLASSES = ["ant", "bee", "cat"]
ARGS = {"img_size": 32, "patch_size": 8, "depth": 2, "num_heads": 2}


def write_hub_files(folder: Path, width: int) -> Path:
    """What `push_to_hf_hub` of timm uploads, for a model unlike the one that its architecture's name stands for."""
    args = {**ARGS, "embed_dim": width}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=len(CLASSES), **args)
    cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "license": "mit", "input_size": (3, 32, 32)}
    config = {"label_names": CLASSES, "pretrained_cfg": {**model.pretrained_cfg, **cfg}}
    save_for_hf(model, folder, config, args, safe_serialization=True)
    return folder


@pytest.fixture
def copies(tmp_path: Path) -> dict[str, Path]:
    torch.manual_seed(0)
    return {name: write_hub_files(tmp_path / name, width) for name, width in (("small", 16), ("large", 24))}


@pytest.fixture
def hub(copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A hub that holds `org/small` and `org/large`."""

    def download(repo_id: str, filename: str, **_: object) -> str:
        return str(copies[repo_id.removeprefix("org/")] / filename)

    monkeypatch.setattr("timm.models._hub.hf_hub_download", download)
    return copies


@pytest.fixture
def cut_off(copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes away the network, the hub and the copies."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a network, the hub or a copy of its files was looked for")

    def cut() -> None:
        for folder in copies.values():
            shutil.rmtree(folder)
        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr("timm.models._hub.hf_hub_download", refuse)
        monkeypatch.setattr("timm.models._factory.load_model_config_from_path", refuse)

    return cut


def all_logits(net: SNNet) -> Tensor:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.stack([net.eval()(images, number) for number in range(len(net.space))])


def test_a_network_of_hub_models_is_loaded_without_the_hub(
    hub: dict[str, Path], cut_off: Callable[[], None], tmp_path: Path
) -> None:
    net = stitch("hf-hub:org/small", "org/large", pretrained=True)
    expected, anchor = all_logits(net), net.anchor(1)
    net.save_pretrained(tmp_path / "net")
    cut_off()
    loaded = load(tmp_path / "net")
    assert torch.equal(all_logits(loaded), expected)
    again = loaded.anchor(1)
    assert again.name == anchor.name == "hf-hub:org/large"
    assert (again.input, again.class_names, again.license) == (anchor.input, anchor.class_names, anchor.license)
    assert again.input.mean == (0.1, 0.2, 0.3) and again.class_names == tuple(CLASSES) and again.license == "mit"
    loaded.save_pretrained(tmp_path / "again")
    assert torch.equal(all_logits(load(tmp_path / "again")), expected)


def test_a_copy_of_the_files_is_not_needed_again_and_not_named(
    copies: dict[str, Path], cut_off: Callable[[], None], tmp_path: Path
) -> None:
    sources = [f"local-dir:{folder}" for folder in copies.values()]
    net = stitch(*sources, pretrained=True, num_classes=5)
    expected = all_logits(net)
    net.save_pretrained(tmp_path / "net")
    cut_off()
    assert torch.equal(all_logits(load(tmp_path / "net")), expected)
    entry = json.loads((tmp_path / "net" / "config.json").read_text())["anchors"][0]
    assert entry["model"] == "vit_tiny_patch16_224" and entry["kwargs"]["num_classes"] == 5
    assert entry["kwargs"]["embed_dim"] == 16 and str(tmp_path) not in json.dumps(entry["kwargs"])


def test_published_weights_arrive_as_they_were(hub: dict[str, Path]) -> None:
    expected = timm.create_model(f"local-dir:{hub['small']}", pretrained=True).state_dict()
    found = load_anchor("org/small", pretrained=True)
    assert all(torch.equal(found.model.state_dict()[name], tensor) for name, tensor in expected.items())
    assert found.source is not None and found.source.name == "hf-hub:org/small"


def test_other_sources_stay_as_they_are() -> None:
    source = AnchorSource.of("vit_fm_tiny", num_classes=4)
    assert load_anchor(source).source == source
