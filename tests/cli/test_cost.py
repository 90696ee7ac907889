import json
from pathlib import Path

from snnet import StitchTable
from tests.cli.conftest import Run

DEIT = ("deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224")


def test_deit_has_its_published_costs(run: Run, reference_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "costs.jsonl"
    outcome = run("cost", *DEIT, "--output", file)
    assert "118.4 M parameters" in outcome.out
    table, published = StitchTable.load(file), StitchTable.load(reference_dir / "deit_ti_s_b.json")
    assert table.column("params") == published.column("params")


def test_json_can_be_loaded_as_a_table(run: Run, saved: Path, tmp_path: Path) -> None:
    outcome = run("cost", saved, "--json")
    (tmp_path / "costs.json").write_text(outcome.out)
    table = StitchTable.load(tmp_path / "costs.json")
    assert len(table) == 23 and set(table.columns) == {"macs", "params"}
    assert json.loads(outcome.out)["params"] > 0


def test_a_missing_network_is_named(run: Run, tmp_path: Path) -> None:
    outcome = run("cost", tmp_path)
    assert outcome.code == 2 and str(tmp_path) in outcome.err


def test_anchors_without_classifier_are_given_one(run: Run) -> None:
    family = ("vit_small_patch14_dinov2", "vit_base_patch14_dinov2")
    for command in ("cost", "space"):
        assert "--num-classes N" in run(command, *family).err
        assert run(command, *family, "--num-classes", "5").code == 0


def test_anchors_are_built_for_one_image_size(run: Run) -> None:
    family = ("efficientnet_b0", "efficientnet_b1")
    outcome = run("cost", *family)
    assert outcome.code == 2 and "--image-size 224" in outcome.err
    assert run("cost", *family, "--image-size", "224").code == 0


def test_grids_are_resampled_if_asked_for(run: Run) -> None:
    family = ("vit_small_patch32_224", "vit_base_patch16_224")
    outcome = run("cost", *family)
    assert outcome.code == 2 and "--resample" in outcome.err
    assert run("cost", *family, "--resample").code == 0


def test_stages_are_chosen(run: Run) -> None:
    assert run("cost", *DEIT, "--stages", "0").code == 0
    outcome = run("cost", *DEIT, "--stages", "7")
    assert outcome.code == 2 and "7" in outcome.err
