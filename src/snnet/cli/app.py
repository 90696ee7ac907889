"""The commands of `snnet`. Their files import torch and the rooms that need it only when a command runs."""

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import getdoc
from itertools import islice
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from snnet import __version__
from snnet.cli.console import open_streams, said_aloud, saying_warnings
from snnet.cli.errors import MEANINGS, ExitCode, guarded
from snnet.cli.families import import_families
from snnet.errors import RecipeError
from snnet.utils import started_share

_IN_SEVERAL_PROCESSES = ("train", "evaluate")
COMMANDS = (
    *("demo", "space", "cost", "init", "search", "train", "recalibrate", "evaluate"),
    *("profile", "select", "predict", "export", "serve", "report", "push", "experiment"),
)
"""The name of each is that of its file, and of the function in it."""
OTHER_NAMES = {"search": ("stitch",)}

_ABOUT = """Stitch a family of pretrained models into one network with a route for every budget.

A first look, in minutes and without a download: `snnet demo`.

A network of your own: `snnet search` makes one of the routes worth having, `snnet init` one of the paper's windows of
cuts, `snnet train` trains it, `snnet evaluate` and `snnet profile`
measure its stitches, `snnet select` chooses one under a budget, `snnet predict` asks it what is in pictures,
`snnet export` writes it as a file for other programs, `snnet serve` answers over the network, `snnet report` draws the
curve, `snnet push` uploads the network.
Where anchors have batch norm, `snnet recalibrate` measures its statistics for every stitch.
`snnet experiment` repeats the experiments of the paper.

Commands that take a network also take a file that the authors of SN-Net published, with the name of its family before
it: `snnet evaluate deit_ti_s_b@snnet_deit.pth` (or swin_ti_s_b, resnet18_50, resnet18_swin_ti, levit_192_256).
"""
_EXITS = "Exit codes:\n\n" + "\n".join(f"- {code.value} {meaning}" for code, meaning in MEANINGS.items())
_EXAMPLE = "Example:\n\n    snnet space deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224"


def build_app() -> App:
    """Return the command line without `--debug` and `--family-file`, which `main` takes care of."""
    app = App(
        name="snnet",
        help=_ABOUT,
        help_epilogue=f"{_EXITS}\n\n{_EXAMPLE}",
        version=__version__,
        help_format="markdown",
        suppress_keyboard_interrupt=False,
    )
    for number, name in enumerate(COMMANDS):
        command = getattr(import_module(f"snnet.cli.{name}"), name)
        _, examples, commands = (getdoc(command) or "").partition("Examples:\n")
        names = (name, *OTHER_NAMES.get(name, ()))
        app.command(command, name=names, sort_key=number, help_epilogue=f"{examples}\n{commands}")
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        tokens: Arguments after `snnet`; those of the process by default.
    """
    given = list(sys.argv[1:] if tokens is None else tokens)
    app = build_app()

    @app.meta.default
    def launch(
        *arguments: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        family_file: Annotated[
            tuple[Path, ...],
            Parameter(negative="", help="Python file that registers models or families; may be given several times."),
        ] = (),
        debug: Annotated[bool, Parameter(negative="", help="Show the traceback of an error.")] = False,
    ) -> int:
        """Run a command, and its errors as exit codes."""

        def run() -> int:
            _check_processes(arguments)
            import_families(family_file)
            return _call(app, arguments)

        return guarded(run, debug=debug)

    # Commands say these messages themselves.
    path = [*sys.path]  # to which the folders of family files are added
    logger = logging.getLogger("snnet.training.checkpoint")
    before, logger.propagate = logger.propagate, False
    try:
        with open_streams(), saying_warnings(), said_aloud("snnet.data.datasets"):
            return guarded(lambda: _call(app.meta, _globals_first(given)), debug=False)
    finally:
        logger.propagate = before
        sys.path[:] = path


def _globals_first(tokens: Sequence[str]) -> list[str]:
    """Move the options of all commands to the front; `train`, which takes any flag, would keep those behind it."""
    first: list[str] = []
    rest: list[str] = []
    coming = iter(tokens)
    for token in coming:
        if token == "--debug" or token.startswith("--family-file="):
            first.append(token)
        elif token == "--family-file":
            first += [token, *islice(coming, 1)]
        else:
            rest.append(token)
    return first + rest


def _check_processes(tokens: Sequence[str]) -> None:
    """Refuse to do in each of several processes what writes the same files."""
    count, command = started_share().count, tokens[0] if tokens else ""
    if count > 1 and command in {*COMMANDS} - {*_IN_SEVERAL_PROCESSES}:
        raise RecipeError(
            f"`snnet {command}` was started in {count} processes and works in one; start it without torchrun. In "
            f"several work: {', '.join(_IN_SEVERAL_PROCESSES)}."
        )


def _call(app: App, tokens: Sequence[str]) -> int:
    result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    return result if isinstance(result, int) else ExitCode.OK
