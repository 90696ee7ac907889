"""A network is written whole or not at all, and what was written is what it was."""

import copy
import json
from pathlib import Path

import pytest
import torch

from snnet.errors import CheckpointError
from snnet.evaluation import evaluate
from snnet.network import SNNet, load
from snnet.space import StitchSpace
from snnet.table import StitchRow, StitchTable
from tests.conftest import build_tiny_anchor, build_tiny_net

TINY = {"img_size": 28, "patch_size": 7, "in_chans": 1, "num_classes": 10, "depth": 2}


def test_saved_networks_load_bit_for_bit(tiny_net: SNNet, tmp_path: Path) -> None:
    tiny_net.table = StitchTable([StitchRow(0, str(tiny_net.space[0]), {"top1": 50.0})])
    tiny_net.save_pretrained(tmp_path / "net")
    loaded = load(tmp_path / "net")
    assert loaded.space == tiny_net.space
    assert loaded.table is not None
    assert loaded.table[0].top1 == 50.0
    images = torch.randn(2, 1, 28, 28)
    for number in range(len(tiny_net.space)):
        assert torch.equal(loaded(images, number), tiny_net(images, number))
    assert torch.equal(load(tmp_path / "net", map_location=torch.device("cpu"))(images, 0), tiny_net(images, 0))
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    assert config["anchors"][1]["kwargs"]["embed_dim"] == 32
    assert {p.name for p in (tmp_path / "net").iterdir()} >= {"model.safetensors", "config.json", "table.jsonl"}


def test_shared_weights_are_saved_once(tmp_path: Path) -> None:
    anchor = build_tiny_anchor(16)
    net = SNNet([anchor, copy.copy(anchor)], StitchSpace.build([anchor.depths] * 2))
    net.save_pretrained(tmp_path)
    count = sum(p.numel() for p in net.parameters())
    assert (tmp_path / "model.safetensors").stat().st_size < 4 * count * 1.05 + 50_000
    images = torch.randn(1, 1, 28, 28)
    loaded = load(tmp_path)
    assert torch.equal(loaded(images, 1), net.eval()(images, 1))
    assert loaded.anchor(0).model.head.weight is loaded.anchor(1).model.head.weight


def test_a_failed_save_leaves_the_old_network_whole(
    tiny_net: SNNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_net.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("snnet.network.storage.save_model", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*what was there before is untouched"):
        tiny_net.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_table_that_is_gone_is_not_found_again(tiny_net: SNNet, tmp_path: Path) -> None:
    tiny_net.table = StitchTable([StitchRow(0, str(tiny_net.space[0]), {"top1": 50.0, "macs": 3})])
    tiny_net.save_pretrained(tmp_path)
    tiny_net.forget_scores()
    assert tiny_net.table.columns == ("macs",)
    tiny_net.table = None
    tiny_net.save_pretrained(tmp_path)
    assert load(tmp_path).table is None


def test_a_card_of_ours_is_renewed_and_one_of_the_user_kept(tmp_path: Path) -> None:
    net, card = build_tiny_net(), tmp_path / "README.md"
    net.save_pretrained(tmp_path)
    first = card.read_text()
    net.table = StitchTable([StitchRow(0, str(net.space[0]), {"macs": 1.0, "params": 1.0, "top1": 50.0})])
    net.save_pretrained(tmp_path)
    assert card.read_text() != first
    card.write_text("# My network\n")
    net.save_pretrained(tmp_path)
    assert card.read_text() == "# My network\n"


def test_names_of_classes_are_saved_and_unknown_ones_stay_unknown(tmp_path: Path) -> None:
    net = build_tiny_net()
    net.save_pretrained(tmp_path)
    assert load(tmp_path).classes is None
    net.classes = tuple(f"class {number}" for number in range(10))
    net.save_pretrained(tmp_path)
    assert load(tmp_path).classes == net.classes
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["classes"] == list(net.classes)
    del config["classes"], config["digest"]  # as networks were written before
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load(tmp_path).classes is None


def test_hits_are_saved_with_the_table_and_leave_with_it(tiny_net: SNNet, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    images, labels = torch.randn(9, 1, 28, 28, generator=generator), torch.randint(10, (9,), generator=generator)
    evaluate(tiny_net, (images, labels), stitches=[0, 3])
    tiny_net.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.table.hits == tiny_net.table.hits and len(again.table.hits) == 2
    tiny_net.forget_scores()
    tiny_net.save_pretrained(tmp_path)
    assert not (tmp_path / "table.hits.safetensors").exists() and load(tmp_path).table.hits is None
