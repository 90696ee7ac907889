"""Reading a saved network, by `load` and by the class: damage, and models that no name rebuilds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import snnet
from snnet.anchors import AnchorSource
from snnet.errors import CheckpointError
from snnet.network import SNNet, load, stitch
from tests.conftest import build_tiny_anchor

TINY = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "depth": 2}


def test_models_of_the_users_own_are_given_again_on_loading(tmp_path: Path) -> None:
    def build() -> list[nn.Module]:
        return [timm.create_model("vit_tiny_patch16_224", embed_dim=w, num_heads=2, **TINY) for w in (16, 32)]

    net = stitch(*build()).eval()
    net.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"pass the built models: snnet.load\(path, models="):
        load(tmp_path)
    images = torch.randn(1, 1, 28, 28)
    assert torch.equal(load(tmp_path, models=build())(images, 3), net(images, 3))


def test_damaged_networks_are_refused(tiny_net: SNNet, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no network at"):
        load(tmp_path / "nothing")
    tiny_net.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be loaded"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load(tmp_path)
    (tmp_path / "config.json").write_text('{"format": "snnet", "version": 99}')
    with pytest.raises(CheckpointError, match="has version 99; this snnet reads up to 1"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.pop("anchors"), r"config\.json is damaged, it has no anchors;"),
        (lambda config: config.pop("space"), r"config\.json is damaged, it has no space;"),
        (lambda config: config.update(anchors=None), r"config\.json is damaged, its anchors are not a list"),
        (lambda config: config["anchors"][0].pop("model"), r"config\.json is damaged, its anchors are not a list"),
        (lambda config: config["anchors"].pop(), r"config\.json is damaged, it has 2 anchors, and its space is of 3;"),
        (lambda config: config["space"].pop("layers"), r"its space cannot be read \(KeyError: 'layers'\)"),
        (lambda config: config["space"]["layers"][0].update(cuts=[]), r"its space cannot be read \(IndexError"),
        (lambda config: config["space"].update(stitches=["0"]), r"its space cannot be read \(SpaceError: '0' is not"),
    ],
)
def test_a_damaged_description_is_refused(
    change: Callable[[Any], object], message: str, tiny_net: SNNet, tmp_path: Path
) -> None:
    tiny_net.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        snnet.load(tmp_path)


def test_the_class_reads_as_load_does(tiny_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="There is no network at"):
        SNNet.from_pretrained(tmp_path / "none")
    tiny_net.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"devise: unknown keyword. Known here: .*map_location, .* revision"):
        SNNet.from_pretrained(tmp_path, devise="cpu")
    with pytest.raises(CheckpointError, match=r"revison: unknown keyword. Did you mean 'revision'"):
        snnet.load(tmp_path / "none", revison="v1")  # type: ignore[call-arg]
    again, images = SNNet.from_pretrained(tmp_path), torch.randn(1, *tiny_net.input.size)
    assert torch.equal(again(images, 5), tiny_net(images, 5))

    def download(_: str, *, allow_patterns: list[str], revision: str | None, **options: object) -> Path:
        assert options == {"token": None, "cache_dir": None, "force_download": False, "local_files_only": False}
        if revision is None:
            raise OSError("no connection")
        assert set(allow_patterns) == {"config.json", "model.safetensors", "table.jsonl"}
        return tmp_path

    monkeypatch.setattr("snnet.network.restore.snapshot_download", download)
    assert torch.equal(SNNet.from_pretrained("org/net", revision="v1")(images, 5), tiny_net(images, 5))
    with pytest.raises(CheckpointError, match=r"no directory org/net, and the hub does not give it either: no conn"):
        SNNet.from_pretrained("org/net")


def test_local_checkpoints_take_a_new_classifier(tmp_path: Path) -> None:
    for width in (16, 32):
        save_file(build_tiny_anchor(width).model.state_dict(), tmp_path / f"{width}.safetensors")
    sources = [
        AnchorSource.of(
            "vit_tiny_patch16_224",
            checkpoint=str(tmp_path / f"{w}.safetensors"),
            **{**TINY, "embed_dim": w, "num_heads": 2, "depth": 4},
        )
        for w in (16, 32)
    ]
    net = stitch(*sources, num_classes=3).eval()
    images = torch.randn(1, 1, 28, 28)
    assert net(images, 3).shape == (1, 3)
    net.save_pretrained(tmp_path / "net")
    assert torch.equal(load(tmp_path / "net")(images, 3), net(images, 3))
