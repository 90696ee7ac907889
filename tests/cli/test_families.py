import sys
from pathlib import Path

import pytest

import snnet
from snnet.anchors import ANCHORS, MODELS
from snnet.training.samplers import SAMPLERS
from tests.cli.conftest import Run
from tests.docs.blocks import read_blocks

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "own-models.md"


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a family file registers go with the test."""
    for registry in (ANCHORS, MODELS):
        registry.names()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """The file that the guide tells users to write."""
    path = tmp_path / "my_family.py"
    path.write_text(next(block.code for block in read_blocks(GUIDE) if block.note == "file: my_family.py"))
    return path


def test_the_guides_models_are_those_of_the_paper(run: Run, family: Path) -> None:
    outcome = run("cost", "my_resnet20", "my_resnet56", "--family-file", family)
    assert outcome.code == 0, outcome.err
    counts = [sum(p.numel() for p in snnet.MODELS.get(name)().parameters()) for name in ("my_resnet20", "my_resnet56")]
    # Table 6 of the paper: 0.27 M and 0.85 M parameters.
    assert [round(count / 1e6, 2) for count in counts] == [0.27, 0.85]


TINY = """
import snnet, timm

@snnet.MODELS.register("my_vit")
def my_vit(depth=2, num_classes=10, pretrained=False):
    return timm.create_model("vit_fm_tiny", depth=depth, num_classes=num_classes)

@timm.models.register_model
def {name}(pretrained=False, **kwargs):
    return timm.create_model("vit_fm_small", depth=3, **{{k: v for k, v in kwargs.items() if k == "num_classes"}})
"""


@pytest.mark.parametrize("last", [False, True])
def test_a_file_names_models_wherever_the_option_stands(run: Run, tmp_path: Path, last: bool) -> None:
    path, name = tmp_path / "tiny.py", f"my_timm_vit_{last}".lower()
    path.write_text(TINY.format(name=name))
    option, command = ("--family-file", path), ("space", "my_vit", name)
    outcome = run(*command, *option) if last else run(*option, *command)
    assert outcome.code == 0, outcome.err
    assert f"[0] my_vit, [1] {name}" in outcome.out
    # The same file again, as in a second command of one process.
    assert run(*command, *option).code == 0


def test_saved_networks_ask_for_the_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tiny.py"
    path.write_text(TINY.format(name="my_saved_timm_vit"))
    made = run("init", "my_vit", "my_saved_timm_vit", "--family-file", path, "--output", tmp_path / "net")
    assert made.code == 0, made.err
    trained, scored = made.out.split("Next: ")[1].split(", or ")
    assert f" --family-file {path}" in trained and f" --family-file {path}" in scored
    del MODELS._entries["my_vit"]
    outcome = run("evaluate", tmp_path / "net")
    assert outcome.code == 2
    assert "no model named 'my_vit'" in outcome.err and "--family-file FILE" in outcome.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist; give a Python file"),
        ("x = 1\ny = 1 / 0\n", "cannot be imported: line 2: ZeroDivisionError: division by zero"),
        ("def f(:\n", "cannot be imported: SyntaxError"),
        ("import sys\nsys.exit(3)\n", "cannot be imported: line 2: SystemExit: 3"),
    ],
)
def test_faults_of_the_file_are_named(run: Run, tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "faulty.py"
    if content is not None:
        path.write_text(content)
    outcome = run("space", "12", "12", "--family-file", path)
    assert outcome.code == 2
    assert words in " ".join(outcome.err.split()) and "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("content", "registers"),
    [
        ("import torch\n\ndef my_model():\n    return torch.nn.Linear(1, 1)\n", False),
        ("import snnet, torch\nsnnet.MODELS.register('known_later')(lambda: torch.nn.Linear(1, 1))\n", True),
        ("from timm.models import register_model\n\n@register_model\ndef known_to_timm(**_):\n    pass\n", True),
        ("from timm.models import register_model\n\n@register_model\ndef known_to_timm(**_):\n    return 1\n", True),
        ("from snnet.training import SAMPLERS\nSAMPLERS.register('known_sampler')(object())\n", True),
    ],
)
def test_a_file_that_registers_nothing_is_told_how(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, registers: bool
) -> None:
    monkeypatch.setattr(SAMPLERS, "_entries", dict(SAMPLERS._entries))
    path = tmp_path / "mine.py"
    path.write_text(content)
    outcome = run("space", "2", "2", "--family-file", path)
    said = f"--family-file {path} registers nothing"
    assert outcome.code == 0 and (said in outcome.err) != registers, outcome.err
    decorators = ("@snnet.MODELS.register('NAME')", "@register_model", "@snnet.ANCHORS.register('NAME')")
    assert registers or all(word in outcome.err for word in decorators)


def test_a_directory_is_no_family_file(run: Run, tmp_path: Path) -> None:
    outcome = run("space", "12", "12", "--family-file", tmp_path)
    assert outcome.code == 2
    assert "is a directory; give a Python file in it" in " ".join(outcome.err.split())


def test_the_help_names_the_option(run: Run) -> None:
    assert "--family-file" in run("--help").out


def test_a_family_file_imports_what_lies_beside_it_at_once_and_later(run: Run, tmp_path: Path) -> None:
    (tmp_path / "parts_beside.py").write_text("WIDTHS = (32,)\n")
    (tmp_path / "later_beside.py").write_text("raise RuntimeError('this one is imported when the model is built')\n")
    path = tmp_path / "mine.py"
    path.write_text(
        "import snnet\nfrom parts_beside import WIDTHS\n\n@snnet.MODELS.register('beside')\n"
        "def build(**_):\n    import later_beside\n"
    )
    before = [*sys.path]
    assert run("space", "2", "2", "--family-file", path).code == 0
    outcome = run("space", "beside", "vit_fm_tiny", "--family-file", path)
    assert outcome.code == 2 and "this one is imported when the model is built" in outcome.err, outcome.err
    assert sys.path == before
    del sys.modules["parts_beside"]
