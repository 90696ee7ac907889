from pathlib import Path

import pytest

from snnet.recipes.paper import EXPERIMENTS, FIGURES, TIMM_MODELS, published_table
from tests.cli.conftest import Run
from tests.recipes.paper.conftest import QUICK

FLAGS = [token for key, value in QUICK.items() for token in (f"--{key}", value)]


def test_without_a_name_all_are_listed(run: Run) -> None:
    out = run("experiment").out
    assert all(name in out for name in (*EXPERIMENTS, *FIGURES, "figure-2"))
    assert all(one.title in out for one in EXPERIMENTS.values())


@pytest.mark.slow
def test_a_figure_is_run_and_named_after_itself(run: Run, tmp_path: Path) -> None:
    outcome = run("experiment", "figure-8", "--output", tmp_path, "--seed", 3, *FLAGS)
    assert outcome.code == 0, outcome.err
    for part in ("resnet", "resnet-swin"):
        for suffix in (".png", ".svg", ".md", ".jsonl"):
            assert (tmp_path / f"figure-8-{part}{suffix}").stat().st_size > 0
        assert f"Written {tmp_path / f'figure-8-{part}.md'}" in outcome.out
    assert outcome.out.count("Verdict: ") == 2 and outcome.out.count("The paper observes: ") == 2
    text = (tmp_path / "figure-8-resnet.md").read_text()
    assert "snnet experiment resnet --" in text and "--run.seed 3" in text and "Figure 8 of the paper." in text


def test_figure_2_takes_tables_and_models(run: Run, tmp_path: Path) -> None:
    table = published_table("deit_ti_s_b").save(tmp_path / "deit.jsonl")
    outcome = run("experiment", "figure-2", "--network", table, "--models", TIMM_MODELS, "--output", tmp_path)
    assert outcome.code == 0, outcome.err
    text = (tmp_path / "figure-2.html").read_text()
    assert "71 stitches among 1,452 individual models" in text and "stitch 19: 0:0-6,1:6-12" in text
    assert all((tmp_path / f"figure-2{suffix}").stat().st_size > 0 for suffix in (".png", ".svg"))


def test_wrong_usage_says_what_is_right(run: Run, tmp_path: Path) -> None:
    for tokens, said in (
        (("figure-99", "--output", tmp_path), "There is no experiment 'figure-99'"),
        (("epochs",), "Give --output DIR"),
        (("epochs", "--output", tmp_path, "--seed", 1, "--run.seed", 2), "give one"),
        (("epochs", "--output", tmp_path, "--models", "x.csv"), "belong to figure-2"),
        (("figure-2", "--output", tmp_path, "--run.steps", 3), "takes no settings"),
        (("figure-2", "--output", tmp_path, "--models", tmp_path / "x.csv"), "There is no file"),
        (("epochs", "--output", tmp_path, "--optim.rl", 3), "optim.rl: unknown key"),
    ):
        outcome = run("experiment", *tokens)
        assert outcome.code == 2 and said in outcome.err, (tokens, outcome.err)
    assert not (tmp_path / "runs").exists()
