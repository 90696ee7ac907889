import os
import subprocess
import sys

import pytest

from snnet import __version__
from snnet.cli.app import COMMANDS, build_app
from snnet.recipes import Recipe
from tests.cli.conftest import Run


def test_every_promised_command_is_there() -> None:
    promised = {"space", "cost", "init", "train", "recalibrate", "evaluate", "select", "report", "profile"}
    promised |= {"demo", "predict", "export", "push", "experiment", "search", "serve"}
    assert set(COMMANDS) == promised


def test_version(run: Run) -> None:
    assert run("--version").out.strip() == __version__


def test_help_names_commands_exit_codes_and_an_example(run: Run) -> None:
    text = run("--help").out
    assert all(name in text for name in COMMANDS)
    assert "130 interrupted" in text and "3 no stitch fits" in text
    assert "Example" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_explains_every_option_and_shows_an_example(run: Run, name: str) -> None:
    outcome = run(name, "--help")
    assert outcome.code == 0
    assert f"snnet {name}" in outcome.out.partition("Example")[2]
    for argument in build_app()[name].assemble_argument_collection(parse_docstring=True):
        if argument.show:
            assert argument.parameter.help, f"{name}: {argument.name} is not explained"


def test_no_section_of_a_recipe_bears_the_name_of_a_command() -> None:
    assert set(Recipe.model_fields).isdisjoint(COMMANDS)


def test_unknown_command_names_the_nearest(run: Run) -> None:
    outcome = run("spaec", "12", "12")
    assert outcome.code == 2
    assert "space" in outcome.err and "Traceback" not in outcome.err


def test_unknown_option_names_the_nearest(run: Run) -> None:
    outcome = run("space", "12", "12", "--kernel-sise", "3")
    assert outcome.code == 2
    assert "--kernel-size" in outcome.err and "snnet space --help" in outcome.err


def test_traceback_only_with_debug(run: Run) -> None:
    plain, debug = run("select", "nowhere"), run("select", "nowhere", "--debug")
    assert plain.code == debug.code == 2
    assert "Traceback" not in plain.err and "nowhere" in plain.err
    assert "Traceback" in debug.err
    assert "Traceback" in run("train", "nowhere.yaml", "--output", "run", "--optim.lr", "1", "--debug").err


def test_help_and_tables_do_not_import_torch() -> None:
    code = (
        "import sys; from snnet.cli import main; main(['--help']); main(['space', '12', '12']); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0


def test_module_and_closed_pipe() -> None:
    command = f"{sys.executable} -m snnet space 12 12 12 --no-nearest | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Error" not in done.stderr


def test_commands_that_work_in_one_process_refuse_several(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    outcome = run("space", "vit_fm_tiny", "vit_fm_small")
    assert outcome.code == 2 and "2 processes and works in one; start it without torchrun" in outcome.err
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("snnet.cli.errors._SECONDS_FOR_THE_FIRST", 0.0)
    outcome = run("init")
    assert outcome.code == 2 and outcome.err.startswith("[process 1] error:") and not outcome.out


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("space 12 12 >&-", "0"),
        ("space 12 12 >&- 2>&-", "0"),
        ("spaec 12 12 2>&-", "2"),
        ("space 12 12 12 12 --no-nearest --json | head -1 >/dev/null", "0 0"),
        ("space 12 12 >/dev/full", "1"),
    ],
)
def test_exit_codes_are_the_documented_ones_whoever_listens(command: str, codes: str) -> None:
    script = f"{sys.executable} -m snnet {command}; echo code ${{PIPESTATUS[@]}}"
    # What waits in a buffer is written at the end, where Python has errors of its own.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=buffered)
    assert done.stdout == f"code {codes}\n"
    assert "Traceback" not in done.stderr and "fault in snnet" not in done.stderr and "Exception" not in done.stderr
