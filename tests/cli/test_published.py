"""Files that the authors of SN-Net published, opened by commands: here one of a family small enough for tests."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import snnet
from snnet.network.published import FAMILIES, PublishedFamily
from snnet.network.published.families import as_in_timm
from snnet.network.published.load import build_published, published_names
from tests.cli.conftest import Run

SMALL = PublishedFamily(
    "vit_fm",
    ("vit_fm_tiny", "vit_fm_small"),
    (as_in_timm,) * 2,
    stages=(0,),
    marks=("none of its tensors",),
    stage_in_names=False,
    norm_on_stitched=False,
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(FAMILIES, SMALL.name, SMALL)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = build_published(SMALL)
    own = net.state_dict()
    torch.save({"model": {n: own[at] for n, at in published_names(net, SMALL).items() if at in own}}, "published.pth")
    return Path("published.pth")


def test_spaces_and_costs_are_those_of_the_family(run: Run, file: Path) -> None:
    net = snnet.load(file, family=SMALL.name)
    listed = json.loads(run("space", f"{SMALL.name}@{file}", "--json").out)
    assert [row["stitch"] for row in listed["stitches"]] == [str(stitch) for stitch in net.space]
    counted = json.loads(run("cost", f"{SMALL.name}@{file}", "--json").out)
    assert [row["macs"] for row in counted["stitches"]] == [row.values["macs"] for row in snnet.profile(net)]


def test_it_is_evaluated_and_the_table_lies_in_the_present_folder(run: Run, file: Path) -> None:
    outcome = run("evaluate", f"{SMALL.name}@{file}", "--stitches", "0", "--batch-size", "500")
    assert outcome.code == 0, outcome.err
    assert "snnet report table.jsonl" in outcome.out
    assert "top1" in snnet.StitchTable.load("table.jsonl").columns


def test_it_says_what_is_in_pictures(run: Run, file: Path) -> None:
    Image.new("RGB", (40, 30), "red").save("red.png")
    outcome = run("predict", f"{SMALL.name}@{file}", "red.png", "--stitch", "3", "--json")
    assert outcome.code == 0, outcome.err
    found = snnet.load(file, family=SMALL.name).predict("red.png", 3)
    assert json.loads(outcome.out)["labels"][0]["name"] == found.label  # type: ignore[union-attr]


def test_it_is_trained_with_its_exceptions(run: Run, file: Path) -> None:
    length = ("--run.steps", "1", "--data.batch-size", "8", "--evaluation.stitches", "none")
    outcome = run("train", f"{SMALL.name}@{file}", "--output", "run", *length)
    assert outcome.code == 0, outcome.err
    net = snnet.load("run")
    assert len(net.space) == len(build_published(SMALL).space) and not net.norm_on_stitched


def test_python_opens_it_by_the_same_words(file: Path) -> None:
    one, other = snnet.load(f"{SMALL.name}@{file}").state_dict(), snnet.load(file, family=SMALL.name).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("vit_fmm@published.pth", "Did you mean 'vit_fm'"),
        ("vit_fm@elsewhere.pth", "There is no checkpoint at elsewhere.pth"),
        ("published.pth", "deit_ti_s_b@published.pth"),
        ("else@where", "or FAMILY@FILE"),
    ],
)
def test_what_is_mistyped(run: Run, file: Path, source: str, words: str) -> None:
    outcome = run("profile", source)
    assert outcome.code == 2 and words in outcome.err
    assert file.is_file() and "Traceback" not in outcome.err


def test_no_card_is_written_for_a_file(run: Run, file: Path) -> None:
    outcome = run("push", f"{SMALL.name}@{file}", "org/name", "--card-only")
    assert outcome.code == 2 and "no directory to write a card in" in outcome.err


def test_a_folder_with_an_at_sign_is_a_folder(run: Run, file: Path, saved: Path) -> None:
    folder = saved.rename(f"{SMALL.name}@{file}")
    assert run("cost", folder).code == 0


def test_the_help_names_the_families(run: Run) -> None:
    shown = run("--help").out
    assert all(name in shown for name in FAMILIES)
    assert "FAMILY@FILE" in run("evaluate", "--help").out
