import subprocess
import sys
from pathlib import Path

import pytest

import snnet
from snnet import StitchTable
from snnet.recipes import Recipe
from snnet.table import frontier_gain
from snnet.utils import human
from tests.cli.conftest import Run
from tests.data.image_files import write_split

QUICK = (
    *("--run.steps", "3", "--run.save-every", "2", "--data.batch-size", "8"),
    *("--evaluation.images", "20", "--evaluation.stitches", "anchors"),
)


def test_a_saved_network_is_trained_evaluated_and_saved(run: Run, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    outcome = run("train", saved, "--output", out, *QUICK, "--optim.lr", "1e-3")
    assert outcome.code == 0, outcome.err
    net = snnet.load(out)
    assert net.table is not None and "top1" in net.table.columns
    assert (out / "log.jsonl").is_file()
    assert Recipe.load(out / "recipe.yaml").optim.lr == 1e-3


def test_it_resumes_by_itself_and_says_so(run: Run, saved: Path, tmp_path: Path) -> None:
    tokens = ("train", saved, "--output", tmp_path / "run", *QUICK)
    run(*tokens)
    again = run(*tokens)
    assert again.code == 0 and "Resuming after step 3 of 3" in again.err


def test_other_settings_are_refused_and_listed(run: Run, saved: Path, tmp_path: Path) -> None:
    tokens = ("train", saved, "--output", tmp_path / "run", *QUICK)
    run(*tokens)
    outcome = run(*tokens, "--optim.lr", "5e-3", "--run.keep", "1")
    assert outcome.code == 2
    assert "optim.lr was 0.0001 and is 0.005" in outcome.err and "keep" not in outcome.err


def test_a_sampler_that_draws_by_need_has_its_scores_first(run: Run, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    need = ("--sampler.name", "weighted", "--sampler.options.by", "need", "--sampler.images", "16")
    tokens = ("train", saved, "--output", out, *QUICK, *need)
    assert run(*tokens).code == 0
    scores = (out / "starting_scores.jsonl").read_bytes()
    assert StitchTable.load(out / "starting_scores.jsonl").meta["images"] == 16
    again = run(*tokens, "--run.keep", "1")
    assert again.code == 0 and "Resuming after step 3 of 3" in again.err
    assert (out / "starting_scores.jsonl").read_bytes() == scores


@pytest.mark.parametrize("named", ["as the source", "in place of a recipe's anchors"])
def test_the_network_itself_is_not_overwritten(run: Run, saved: Path, named: str) -> None:
    tokens = (saved,) if named == "as the source" else ("embedded_vit", "--network.saved", saved)
    outcome = run("train", *tokens, "--output", saved)
    assert outcome.code == 2 and "another --output" in outcome.err


def test_a_saved_network_takes_the_place_of_a_recipes_anchors(run: Run, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    small = ("--optim.warmup-epochs", "0", "--sampler.images", "8", "--calibration.images", "8")
    outcome = run("train", "embedded_vit", "--network.saved", saved, "--output", out, *QUICK, *small)
    assert outcome.code == 0, outcome.err
    assert snnet.load(out).space == snnet.load(saved).space
    assert Recipe.load(out / "recipe.yaml").loss.teacher == Recipe.load("embedded_vit").loss.teacher


def test_a_folder_of_images_takes_one_command(run: Run, tmp_path: Path) -> None:
    write_split(tmp_path / "pets" / "train")
    write_split(tmp_path / "pets" / "val", per_class=3)
    small = ("--network.pretrained", "false", "--calibration.images", "4", "--data.batch-size", "4")
    length = ("--run.epochs", "null", "--run.steps", "2", "--optim.warmup-epochs", "0")
    outcome = run("train", "folder", "--root", tmp_path / "pets", "--output", tmp_path / "run", *small, *length)
    assert outcome.code == 0, outcome.err
    assert "fresh classifiers" in outcome.err and "2 classes" in outcome.err
    assert snnet.load(tmp_path / "run").classes == ("cat", "dog")


def test_images_of_other_classes_are_not_mistaken_for_those_it_was_trained_on(run: Run, tmp_path: Path) -> None:
    net = snnet.stitch("vit_fm_tiny", "vit_fm_small", num_classes=2)
    net.classes = ("cat", "dog")
    net.save_pretrained(tmp_path / "net")
    for split in ("train", "val"):
        write_split(tmp_path / "pets" / split, classes=("cat", "ape"))
    images = ("--data", "folder", "--root", tmp_path / "pets")
    for command in (("evaluate",), ("train", "--output", tmp_path / "run", "--data.batch-size", "4")):
        outcome = run(command[0], tmp_path / "net", *command[1:], *images)
        assert outcome.code == 2
        assert "class 0 is 'cat' in the network and 'ape' in the data" in outcome.err


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("embeded_vit",), "Did you mean 'embedded_vit'"),
        (("nowhere/recipe.yaml",), "nowhere/recipe.yaml"),
        (("embedded_vit", "--optim.lrr", "1"), "Did you mean 'lr'"),
        (("embedded_vit", "--optim.lr", "fast", "--run.steps", "0"), "2 faults"),
        (("embedded_vit", "extra"), "extra"),
        (("embedded_vit", "--optim.lr", "1", "--optim.lr", "2"), "given twice"),
        (("embedded_vit", "--data", "folder", "--data.name", "embedded"), "give one"),
    ],
)
def test_bad_recipes(run: Run, tmp_path: Path, tokens: tuple[str, ...], words: str) -> None:
    outcome = run("train", *tokens, "--output", tmp_path / "run")
    assert outcome.code == 2
    assert words in outcome.err and "Traceback" not in outcome.err


def test_output_is_asked_for(run: Run) -> None:
    outcome = run("train", "embedded_vit")
    assert outcome.code == 2 and "--output" in outcome.err


def test_the_end_names_the_best_under_budgets_that_nobody_had_to_give(run: Run, saved: Path, tmp_path: Path) -> None:
    few = ("--run.steps", "1", "--data.batch-size", "8", "--evaluation.images", "8")
    outcome = run("train", saved, "--output", tmp_path / "run", *few)
    assert outcome.code == 0, outcome.err
    assert "Looking at the images, embedded" in outcome.err
    table = snnet.load(tmp_path / "run").table
    assert table is not None
    told = [line for line in outcome.out.splitlines() if line.startswith("Gain over keeping the anchors: ")]
    assert told == [str(frontier_gain(table))] and set(table.hits.before) == {row.stitch for row in table.anchors}
    assert f"**{told[0]}**" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    costs = [row.macs for row in table]
    chosen = outcome.out.partition("The best stitch under a budget")[2].splitlines()[2:5]
    for part, line in zip((0.25, 0.5, 0.75), chosen, strict=True):
        budget = float(f"{min(costs) + part * (max(costs) - min(costs)):.2g}")
        affordable = [row for row in table if row.macs <= budget]
        best = max(affordable, key=lambda row: (row.top1, -row.macs))
        assert line.strip().startswith(human(budget)) and f" {best.stitch} " in line, line


def test_an_output_that_is_a_file_is_refused_before_any_work(run: Run, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in (("train", saved), ("init", "vit_fm_tiny", "vit_fm_small"), ("recalibrate", saved), ("demo",)):
        outcome = run(*command, "--output", tmp_path / "file" / "run")
        assert outcome.code == 2
        assert f"{tmp_path / 'file'} is a file; name a directory" in outcome.err and "calibration" not in outcome.err


def test_settings_are_listed_with_meaning_and_default(run: Run) -> None:
    lines = run("train", "--settings").out.splitlines()
    assert any(line.split()[:2] == ["optim.lr", "0.0001"] for line in lines)
    assert all(len(line.split()) > 2 for line in lines)


def test_ctrl_c_saves_and_exits_with_130(saved: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snnet", "train", saved, "--output", tmp_path / "run", "--run.steps", "100000"]
    command += ["--run.threads", "1"]
    process = subprocess.Popen(map(str, command), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = ""
    for line in process.stderr:
        told += line
        if line.startswith("Training: "):
            process.send_signal(2)
            break
    told += process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "resume from" in told and "Traceback" not in told


def test_again_keeps_scores_and_latencies(run: Run, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    tokens = ("train", saved, "--output", out, *QUICK)
    run(*tokens)
    run("profile", out, "--stitches", "0", "--repeats", "1", "--warmup", "0", "--device", "cpu")
    again = run(*tokens)
    assert again.code == 0 and "3 of 3 stitches were evaluated before" in again.err
    assert "latency_ms" in StitchTable.load(out / "table.jsonl").columns
    other = run(*tokens[:-4], "--evaluation.images", "10", "--evaluation.stitches", "anchors")
    assert other.code == 0 and "evaluated anew" in other.err
    assert "latency_ms" in StitchTable.load(out / "table.jsonl").columns


def test_a_kill_in_the_last_evaluation_costs_no_scores(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = ("train", saved, "--output", tmp_path / "run", *QUICK)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(snnet.SNNet, "save_pretrained", killed)
        assert run(*tokens).code == 130
    assert "3 of 3 stitches were evaluated before" in run(*tokens).err
