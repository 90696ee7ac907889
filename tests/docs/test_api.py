"""The pages of the API: a section for each public name, with the arguments, results and errors that it has."""

import ast
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import griffe
import pytest

pytest.importorskip("mkdocs", reason="the package mkdocs is not installed")
site_pages = pytest.importorskip("scripts.site_pages")

import snnet  # noqa: E402

PACKAGE = griffe.load("snnet", search_paths=[str(site_pages.ROOT / "src")])
NAMES = site_pages.public_names(snnet)


def sections(thing: Any) -> dict[str, Any]:
    """The parts of a docstring in Google form, by kind."""
    return {part.kind.value: part.value for part in thing.docstring.parse("google")} if thing.docstring else {}


def described(found: dict[str, Any]) -> set[str]:
    return {entry.name.lstrip("*") for kind in ("parameters", "attributes") for entry in found.get(kind, ())}


def arguments(function: Any) -> set[str]:
    return {one.name for one in function.parameters if one.name not in ("self", "cls")}


def raises(function: Any) -> bool:
    """Whether a function raises something itself, other than what must be overridden."""
    tree = ast.parse(dedent("\n".join(function.lines)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def functions(thing: Any) -> Iterator[Any]:
    """A function itself; of a class what users call."""
    if thing.is_function:
        yield thing
    elif thing.is_class:
        yield from (one for one in thing.members.values() if one.is_function and not one.name.startswith("_"))


def missing(function: Any) -> set[str]:
    """What a docstring should say and does not; the summary of a method may say its one argument and its result."""
    found = sections(function)
    text = function.docstring.value if function.docstring else ""
    lacks = {f"argument {name}" for name in arguments(function) - described(found) if f"`{name}`" not in text}
    method = function.parent.is_class
    if method and len(arguments(function)) == 1:
        lacks = set()
    returns = function.returns is not None and str(function.returns) != "None"
    if returns and not {"returns", "yields"} & found.keys() and not method:
        lacks.add("result")
    if raises(function) and "raises" not in found:
        lacks.add("errors")
    return lacks if text else {"docstring"}


def test_every_room_has_a_page_and_every_name_a_section() -> None:
    pages = site_pages.api_pages()
    first = pages["api/index.md"]
    assert all(f"::: snnet.{name}\n" in first for name in NAMES) and len(NAMES) > 20
    for room in site_pages.rooms():
        page = pages[f"api/{room.__name__.removeprefix('snnet.')}.md"]
        for name in site_pages.public_names(room):
            assert f"::: {room.__name__}.{name}\n" in page or f"[`{name}`][snnet.{name}]" in page


@pytest.mark.parametrize("name", NAMES)
def test_a_section_says_what_applies(name: str) -> None:
    thing = PACKAGE[name].final_target if PACKAGE[name].is_alias else PACKAGE[name]
    assert thing.docstring, f"{name} has no docstring"
    if thing.is_class and "__init__" in thing.members:
        told = described(sections(thing)) | described(sections(thing.members["__init__"]))
        assert arguments(thing.members["__init__"]) <= told
    lacking = {one.name: lacks for one in functions(thing) if (lacks := missing(one))}
    assert not lacking
