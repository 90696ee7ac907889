"""Pages of the site that are made and not written: the API, a page for each room, and the changelog."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import snnet

ROOT = Path(__file__).resolve().parents[1]
# `snnet.utils` and `snnet.cli` serve the package itself.
INNER = ("snnet.assets", "snnet.utils", "snnet.cli")


def rooms() -> Iterator[ModuleType]:
    """Every package below `snnet` that offers names, in the order of the alphabet."""
    for found in pkgutil.walk_packages(snnet.__path__, "snnet."):
        if found.ispkg and not found.name.startswith(INNER):
            room = importlib.import_module(found.name)
            if getattr(room, "__all__", ()):
                yield room


def public_names(package: ModuleType) -> list[str]:
    """The names that a package offers, without the packages among them."""
    return [name for name in package.__all__ if not isinstance(getattr(package, name), ModuleType)]


def first_page() -> str:
    """The names of `snnet` itself, which is all that most programs need."""
    parts = ["# snnet", str(snnet.__doc__), "Everything here is imported as `snnet.NAME`."]
    return "\n\n".join([*parts, *(f"::: snnet.{name}" for name in public_names(snnet))]) + "\n"


def room_page(room: ModuleType) -> str:
    """The names of one room; those that `snnet` offers too are described there."""
    first = {id(getattr(snnet, name)): name for name in public_names(snnet)}
    names = public_names(room)
    shown = [name for name in names if first.get(id(getattr(room, name))) != name]
    above = [f"[`{name}`][snnet.{name}]" for name in names if name not in shown]
    parts = [f"# {room.__name__}", str(room.__doc__)]
    parts += [f"Also here, described with [snnet](index.md): {', '.join(above)}."] if above else []
    return "\n\n".join([*parts, *(f"::: {room.__name__}.{name}" for name in shown)]) + "\n"


def api_pages() -> dict[str, str]:
    """Path below `docs` to text, the page of `snnet` first."""
    pages = {"api/index.md": first_page()}
    return pages | {f"api/{room.__name__.removeprefix('snnet.')}.md": room_page(room) for room in rooms()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the API before the last section."""
    assert config.nav is not None
    first, *others = api_pages()
    config.nav.insert(-2, {"API": [first, *({Path(path).stem: path} for path in others)]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made."""
    made = api_pages() | {"changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files
