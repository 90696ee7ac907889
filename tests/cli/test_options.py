from pathlib import Path

import pytest

from snnet.cli.options import default_device, parse_overrides
from snnet.errors import RecipeError
from tests.cli.conftest import Run
from tests.data.image_files import write_split


def test_values() -> None:
    tokens = ["--a.b", "1", "--c=x=y", "--d", "e", "f", "--on", "--none", "null", "--batch-size.x-y", "-3"]
    assert parse_overrides(tokens) == {
        "a.b": "1",
        "c": "x=y",
        "d": ["e", "f"],
        "on": True,
        "none": None,
        "batch_size.x_y": "-3",
    }


def test_all_faults_at_once() -> None:
    with pytest.raises(RecipeError, match=r"'x' belongs to no setting.*--a is given twice"):
        parse_overrides(["x", "--a", "1", "--a", "2"])


def test_a_short_form_says_the_same_or_is_refused() -> None:
    assert parse_overrides(["--data.root", "a"], {"data.root": Path("a"), "data.name": None}) == {"data.root": "a"}
    assert parse_overrides([], {"run.seed": 1}) == {"run.seed": 1}
    with pytest.raises(RecipeError, match=r"--run.seed is '2', and its short form is '1'; give one"):
        parse_overrides(["--run.seed", "2"], {"run.seed": 1})


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for present, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda present=present: present)
        assert default_device(None) == expected
        assert default_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("tokens", "is_file"),
    [
        (("export", "nowhere", "--stitch", "0"), True),
        (("export", "nowhere", "--format", "onnx-bundle"), False),
        (("profile", "nowhere"), True),
        (("evaluate", "nowhere"), True),
        (("cost", "nowhere"), True),
        (("report", "nowhere"), False),
        (("recalibrate", "nowhere"), False),
        (("init", "nowhere", "else"), False),
        (("demo",), False),
        (("experiment", "figure-9"), False),
        (("train", "embedded_vit"), False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    run: Run, tmp_path: Path, tokens: tuple[str, ...], is_file: bool
) -> None:
    """Before the network is looked for, even."""
    (tmp_path / "file").write_text("theirs")
    for output in (tmp_path / "file" / "out.onnx", tmp_path if is_file else tmp_path / "file"):
        outcome = run(*tokens, "--output", output)
        assert outcome.code == 2, outcome
        assert f"{output} cannot be" in outcome.err.replace("\n", " ") and "nowhere" not in outcome.err
    assert (tmp_path / "file").read_text() == "theirs"


def test_so_is_a_table_beside_the_network(run: Run, saved: Path) -> None:
    (saved / "table.jsonl").unlink()
    (saved / "table.jsonl").mkdir()
    (saved / "model.safetensors").unlink()
    for command in ("profile", "evaluate"):
        outcome = run(command, saved)
        assert outcome.code == 2 and "table.jsonl cannot be written, for it is a directory" in outcome.err


def test_no_output_lies_among_the_images(run: Run, saved: Path, tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write_split(root / "train")
    write_split(root / "val")
    images = ("--data", "folder", "--root", root)
    for tokens in (
        ("evaluate", saved, *images, "--output", root / "val" / "table.jsonl"),
        ("export", saved, *images, "--stitch", "0", "--output", root / "train" / "a.pt2"),
        ("export", saved, *images, "--format", "onnx-bundle", "--output", root / "train" / "bundle"),
    ):
        outcome = run(*tokens)
        assert outcome.code == 2 and "among the class folders" in outcome.err
        assert not Path(tokens[-1]).exists()


def test_no_report_lies_among_the_images_of_its_run(run: Run, saved: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "pets" / "train")
    write_split(tmp_path / "pets" / "val")
    output, recipe = tmp_path / "pets" / "val" / "report", saved / "recipe.yaml"
    recipe.write_text(
        f"data: {{name: folder, root: {tmp_path / 'pets'}}}\nnetwork: {{saved: {saved}}}\nrun: {{epochs: 1}}\n"
    )
    outcome = run("report", saved, "--output", output)
    assert outcome.code == 2 and "among the class folders" in outcome.err and not output.exists()
    assert "`snnet evaluate` adds it" in run("report", saved, "--output", tmp_path / "report").err
