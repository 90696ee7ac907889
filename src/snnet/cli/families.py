"""The global option `--family-file`: Python files with families and models of the user's own."""

import os.path
import shlex
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any
from zlib import crc32

from snnet.cli.console import say
from snnet.cli.errors import FAMILY_MODULES
from snnet.errors import AnchorError
from snnet.utils import Registry

_NOTHING = (
    "--family-file {path} registers nothing, so commands know no more models than without it. File what builds a model "
    "with @snnet.MODELS.register('NAME') or timm's @register_model, and a family of anchors, a subclass of "
    "snnet.Anchor, with @snnet.ANCHORS.register('NAME')."
)


def import_families(paths: Iterable[Path]) -> None:
    """Import each file once, so that what it registers is known by name; say so of one that registers nothing.

    Raises:
        AnchorError: If a file is missing, or raises an error; the message names the line.
    """
    for path in paths:
        place = path.resolve()
        # A full path, for two families may bear the same file name.
        name = f"{FAMILY_MODULES}{crc32(bytes(place)):08x}_{place.stem}"
        if place.is_dir():
            raise AnchorError(f"--family-file {path} is a directory; give a Python file in it that registers models.")
        if not place.is_file():
            raise AnchorError(f"--family-file {path} does not exist; give a Python file that registers models.")
        # What lies beside it can be imported, now and later; behind all else, so that nothing installed is hidden.
        if str(place.parent) not in sys.path:
            sys.path.append(str(place.parent))
        if name not in sys.modules:
            before = _registered()
            _import(name, place, path)
            if _registered() == before:
                say(_NOTHING.format(path=path))


def _registered() -> tuple[int, set[object]]:
    """Return how much there is of all that a file may add to; what timm has, itself, for there it may be replaced."""
    import timm

    from snnet.anchors import ANCHORS, MODELS
    from snnet.data import SOURCES
    from snnet.export import EXPORTS
    from snnet.runtime.engines import ENGINES
    from snnet.training.samplers import SAMPLERS

    registries: tuple[Registry[Any], ...] = (MODELS, ANCHORS, SAMPLERS, ENGINES, EXPORTS, SOURCES)
    return sum(map(len, registries)), set(map(timm.model_entrypoint, timm.list_models()))


def family_options() -> str:
    """Return ` --family-file PATH` of each imported file, for commands that the user is told to run next."""
    files = [str(module.__file__) for name, module in sys.modules.items() if name.startswith(FAMILY_MODULES)]
    return "".join(f" --family-file {shlex.quote(_short(path))}" for path in files)


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def _import(name: str, place: Path, shown: Path) -> None:
    spec = spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise AnchorError(f"--family-file {shown} is not a Python file; its name must end with .py.")
    module: ModuleType = module_from_spec(spec)
    # Dataclasses and timm's register_model look their module up while it is being imported.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a file of the user's own may raise anything
        del sys.modules[name]
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(place)]
        where = f"line {lines[-1]}: " if lines else ""
        raise AnchorError(
            f"--family-file {shown} cannot be imported: {where}{type(error).__name__}: {error}"
        ) from error
