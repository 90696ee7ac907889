"""Reading a saved network, by `load` and by the class: damage, and models that no name rebuilds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import snnet
from snnet.anchors import AnchorSource
from snnet.errors import CheckpointError, TableError
from snnet.network import SNNet, load, stitch
from snnet.table import StitchRow, StitchTable
from tests.conftest import build_tiny_anchor, build_tiny_net

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
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged, or of another network: its SHA-256"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be loaded"):
        load(tmp_path, strict=False)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load(tmp_path)
    (tmp_path / "config.json").write_text('{"format": "snnet", "version": 99}')
    with pytest.raises(CheckpointError, match="has version 99; this snnet reads up to 1"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.pop("anchors"), r"config\.json is damaged: anchors: missing; copy"),
        (lambda config: config.pop("space"), r"config\.json is damaged: space: missing; copy"),
        (lambda config: config.update(anchors=None), r"is damaged: anchors: should be a valid list, got None; copy"),
        (lambda config: config["anchors"][0].pop("model"), r"is damaged: anchors\.0\.model: missing"),
        (lambda config: config["anchors"].pop(), r"is damaged: it has 2 anchors, and its space is of 3;"),
        (lambda config: config["space"].pop("layers"), r"is damaged: space\.layers: missing"),
        (lambda config: config["space"]["layers"][0].update(cuts=[]), r"space\.layers\.0\.cuts: .* at least 1 item"),
        (lambda config: config["space"].update(stitches=["0"]), r"space\.stitches\.0: '0' is not a stitch; write"),
        (lambda config: config["space"].update(stitches=["7:0-6"]), r"space: Stitch 7:0-6 leaves the anchors, which"),
        (lambda config: config.update(version="1"), r"version: should be a valid integer, got '1'"),
        (lambda config: config.update(classes=5), r"classes: should be a valid list, got 5"),
        (lambda config: config.update(classes=["one"]), r"classes: 1 names are no names of 10 classes"),
        (lambda config: config.update(lora_rank="x"), r"lora_rank: should be a valid integer, got 'x'"),
        (lambda config: config["anchors"][0].update(model="hf-hub:org/net"), r"anchors\.0\.model: a name of timm's"),
        (
            lambda config: config["anchors"][1]["kwargs"].update(checkpoint_path="/etc/passwd"),
            r"anchors\.1\.kwargs: check",
        ),
        (
            lambda config: config["anchors"][1]["kwargs"].update(num_heads=7),
            r"anchors\.1: vit_\w+ cannot be built with",
        ),
    ],
)
def test_a_damaged_description_is_refused(
    change: Callable[[Any], object], message: str, tiny_net: SNNet, tmp_path: Path
) -> None:
    tiny_net.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    change(config)
    del config["digest"]
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
        assert set(allow_patterns) == {
            "config.json",
            "model.safetensors",
            "table.jsonl",
            "table.hits.safetensors",
        }
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


def test_weights_that_are_not_those_that_were_saved_are_refused(tiny_net: SNNet, tmp_path: Path) -> None:
    tiny_net.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"is damaged, or of another network: its SHA-256 is not the one in config"
    ):
        load(tmp_path)
    assert load(tmp_path, strict=False).space == tiny_net.space


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensor: tensor.fill_(float("nan")),
            r"proj\.weight has 784 of 784 numbers that are not finite\. Accepted",
        ),
        (lambda tensor: tensor.round().int(), r"proj\.weight is int32\. Accepted are dense tensors"),
        (lambda tensor: tensor.to(torch.complex64), r"proj\.weight is complex64\. Accepted"),
    ],
)
def test_tensors_that_are_no_weights_are_refused_by_name(
    change: Callable[[torch.Tensor], torch.Tensor], message: str, tiny_net: SNNet, tmp_path: Path
) -> None:
    tiny_net.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    name = "anchors.0.model.patch_embed.proj.weight"
    save_file({**state, name: change(state[name])}, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["weights"], config["digest"]  # as version 0.1.0 wrote it
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


def test_a_table_of_another_network_is_refused(tmp_path: Path) -> None:
    for seed in (0, 1):
        net = build_tiny_net()
        torch.nn.init.normal_(next(net.parameters()), mean=seed)
        net.table = StitchTable([StitchRow(0, str(net.space[0]), {"top1": 50.0})])
        net.save_pretrained(tmp_path / str(seed))
    shutil.copy(tmp_path / "0" / "table.jsonl", tmp_path / "1" / "table.jsonl")
    with pytest.raises(
        TableError, match=r"table\.jsonl is not the table of the network beside it \(it was saved with oth"
    ):
        load(tmp_path / "1")
    StitchTable([StitchRow(0, "1:0-4", {"top1": 50.0})]).save(tmp_path / "1" / "table.jsonl")
    with pytest.raises(TableError, match=r"beside it \(stitch 0 there is 1:0-4\); copy or save"):
        load(tmp_path / "1")


def test_a_device_that_is_none(tiny_net: SNNet, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"map_location='nonsense' is no device"):
        load(tmp_path, map_location="nonsense")
