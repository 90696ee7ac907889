from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelCard
from PIL import Image

import snnet
from snnet.errors import CheckpointError
from snnet.network import SNNet, push_to_hub, write_card
from snnet.table import StitchRow, StitchTable, pareto_frontier


@pytest.fixture
def scored_net(tiny_net: SNNet) -> SNNet:
    rows = [
        StitchRow(number, stitch.id, {"macs": 1e6 * (number + 1), "params": 2e4, "top1": 50.0 + (number * 7) % 30})
        for number, stitch in enumerate(tiny_net.space)
    ]
    tiny_net.table = StitchTable(rows, {"anchors": ["a", "b", "c"]})
    return tiny_net


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been sent to the hub."""
    calls: list[dict[str, Any]] = []

    def create(self: HfApi, repo_id: str, **options: Any) -> Any:
        calls.append({"repo_id": repo_id, "token": self.token, **options})
        return SimpleNamespace(repo_id=repo_id)

    def upload(self: HfApi, *, repo_id: str, folder_path: Any, **options: Any) -> str:
        files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
        calls.append({"repo_id": repo_id, "files": files, **options})
        return f"https://hub/{repo_id}/commit/1"

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    return calls


def test_the_network_is_pushed_with_its_table_card_and_picture(
    scored_net: SNNet, uploads: list[dict[str, Any]], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("run:\n  seed: 3\n")
    url = snnet.push_to_hub(scored_net, "org/net", recipe=recipe, private=True, token="t")
    assert url == "https://hub/org/net/commit/1"
    made, sent = uploads
    assert (made["repo_id"], made["private"], made["token"]) == ("org/net", True, "t")
    assert set(sent["files"]) == {"README.md", "config.json", "curve.png", "model.safetensors", "table.jsonl"}
    card = ModelCard(sent["files"]["README.md"].decode())
    assert card.data.library_name == "snnet"
    assert card.data.pipeline_tag == "image-classification"
    assert 'snnet.load("org/net")' in card.text
    assert "![Score over cost of every route, with the frontier](curve.png)" in card.text
    assert "```yaml\nrun:\n  seed: 3\n```" in card.text


def test_the_card_lists_the_frontier_and_nothing_else(scored_net: SNNet, tmp_path: Path) -> None:
    text = write_card(scored_net, tmp_path).read_text()
    assert scored_net.table is not None
    frontier = pareto_frontier(scored_net.table)
    listed = [line.split(" | ") for line in text.splitlines() if line.count("`") == 2 and line.startswith("| ")]
    assert [cells[1] for cells in listed] == [f"`{row.stitch}`" for row in frontier]
    assert len(frontier) < len(scored_net.table)
    header = next(line for line in text.splitlines() if line.startswith("| number"))
    assert header == "| number | route | MACs | params | top-1 % |"
    assert listed[0][2:] == ["1.00 M", "20.0 k", "50.00 |"]
    example = next(line for line in text.splitlines() if "net.select(" in line)
    budget = float(example.partition("macs=")[2].partition(")")[0])
    assert scored_net.select(macs=budget).id in {row.stitch for row in frontier}
    assert f"{len(scored_net.space)} routes over {len(scored_net.space.layers)} stitching layers" in text
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.width > 500


def test_without_scores_there_is_no_picture_and_the_card_says_so(tiny_net: SNNet, tmp_path: Path) -> None:
    tiny_net.save_pretrained(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "Not measured" in text
    assert "curve.png" not in text
    assert "| vit_tiny_patch16_224 | 4 | apache-2.0 |" in text
    assert "Images have 1 channel of 28x28 pixels" in text
    write_card(tiny_net, tmp_path, repo_id="org/net")
    assert not (tmp_path / "curve.png").exists()


def test_the_license_is_named_only_where_all_anchors_share_it(tiny_net: SNNet) -> None:
    assert tiny_net.generate_model_card().data.license == "apache-2.0"
    for anchor, license_ in zip(tiny_net.anchors, ("mit", "apache-2.0", None), strict=True):
        anchor.model.pretrained_cfg = {"license": license_}
    card = tiny_net.generate_model_card()
    assert card.data.license == "other"
    assert [line.split(" | ")[2] for line in card.text.splitlines() if "| 4 |" in line] == [
        "mit |",
        "apache-2.0 |",
        "not recorded |",
    ]


def test_there_is_one_way_to_push(scored_net: SNNet, uploads: list[dict[str, Any]], tmp_path: Path) -> None:
    assert SNNet.push_to_hub is push_to_hub is snnet.push_to_hub
    snnet.push_to_hub(scored_net, "org/net", private=True, token="t", commit_message="New")
    scored_net.push_to_hub("org/net", private=True, token="t", commit_message="New")
    scored_net.save_pretrained(
        tmp_path / "net", push_to_hub=True, repo_id="org/net", private=True, token="t", commit_message="New"
    )
    assert uploads[:2] == uploads[2:4] == uploads[4:]
    assert uploads[-1]["commit_message"] == "New" and "curve.png" in uploads[-1]["files"]


def test_what_the_hub_refuses_is_said(tiny_net: SNNet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: HfApi, **_: Any) -> None:
        raise OSError("no rights")

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    with pytest.raises(CheckpointError, match=r"did not take 'org/net' \(no rights\)"):
        push_to_hub(tiny_net, "org/net")
    with pytest.raises(CheckpointError, match=r"did not take 'org/net' \(no rights\)"):
        tiny_net.push_to_hub("org/net")
    with pytest.raises(CheckpointError, match=r"did not take 'org/net' \(no rights\)"):
        tiny_net.save_pretrained(tmp_path / "net", push_to_hub=True, repo_id="org/net")
    with pytest.raises(CheckpointError, match=r"recipe .* cannot be read"):
        push_to_hub(tiny_net, "org/net", recipe=tmp_path / "none.yaml")


def test_the_card_lists_the_classes_as_far_as_they_are_known_and_few(tiny_net: SNNet) -> None:
    assert "## Classes" not in tiny_net.generate_model_card().text
    tiny_net.classes = tuple("abcdefghij")
    text = tiny_net.generate_model_card().text
    assert "stand for 10 classes, in this order: 0 a; 1 b; 2 c;" in text and "9 j. In Python" in text
    tiny_net.classes = tuple(f"class{number}" for number in range(1000))
    text = tiny_net.generate_model_card().text
    assert "19 class19; and 980 more, all in `config.json`. In Python" in text and "20 class20" not in text
