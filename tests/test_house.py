"""The house itself: what stands at its root, that every file has its tests, and how long and wide things may be."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "snnet"
ROOT_FILES = {"__init__.py", "__init__.pyi", "__main__.py", "errors.py", "py.typed"}
PACKAGE_FILES = {"__init__.py", "__main__.py"}
ELSEWHERE = re.compile(r"# Tested in tests/(\S+\.py)\.\n")
LINES, MANY_LINES, FILES_OF_MANY_LINES, BODY_LINES, PARAMETERS = 350, 250, 6, 45, 10

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "__pycache__" not in path.parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def definitions(node: ast.AST, place: str, public: bool = True) -> Iterator[tuple[str, ast.AST, bool]]:
    """Yield the classes and functions below a node, with their dotted names and whether a user may call them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            name = f"{place}.{child.name}"
            seen = public and not child.name.startswith("_")
            yield name, child, seen or (public and child.name == "__init__")
            yield from definitions(child, name, seen and isinstance(child, ast.ClassDef))
        else:
            yield from definitions(child, place, public)


def everything() -> Iterator[tuple[str, ast.AST, bool]]:
    for path in sources():
        yield from definitions(parsed(path), path.relative_to(SOURCE).with_suffix("").as_posix())


def body_lines(function: Function) -> int:
    """Count the lines of a function, without those of its decorators and its docstring."""
    count = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        count -= function.body[0].end_lineno - function.body[0].lineno + 1
    return count


def parameters(function: Function) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return len([each for each in named if each is not None and each.arg not in {"self", "cls"}])


def is_described(name: str, node: ast.AST) -> bool:
    """Tell whether a docstring says what a class or function is: its own, or that of the class, property or function.

    What has no body stands for something that is described where it has one.
    """
    words = {word for part in getattr(node, "decorator_list", []) for word in ast.unparse(part).split(".")}
    if name.endswith("__init__") or words & {"overload", "setter"}:
        return True
    return "".join(map(ast.unparse, node.body)) == "..." or ast.get_docstring(node) is not None  # type: ignore[attr-defined,arg-type]


def test_the_root_holds_rooms_alone() -> None:
    found = {path.name for path in SOURCE.iterdir() if path.name != "__pycache__"}
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert found - rooms == ROOT_FILES


def test_every_source_file_has_its_tests() -> None:
    """In the file at its own place below `tests`, or in the one that its first line names."""
    faults = []
    for path in sources():
        place = path.relative_to(SOURCE)
        named = ELSEWHERE.match(path.read_text())
        own = TESTS / place.with_name(f"test_{place.name}")
        if path.name in PACKAGE_FILES:
            continue
        if own.is_file() == (named is not None):
            faults.append(f"{place}: either {own.relative_to(TESTS)} or one line '# Tested in tests/....py.'")
        elif named and not (TESTS / named[1]).is_file():
            faults.append(f"{place}: there is no tests/{named[1]}")
    assert not faults


def test_every_test_file_has_its_source_or_says_what_it_covers() -> None:
    files = (path for path in TESTS.rglob("test_*.py") if "__pycache__" not in path.parts)
    faults = []
    for path in files:
        place = path.relative_to(TESTS)
        source = SOURCE / place.with_name(place.name.removeprefix("test_"))
        if not source.is_file() and ast.get_docstring(parsed(path)) is None:
            faults.append(str(place))
    assert not faults


def test_no_file_is_long_and_few_are_middling() -> None:
    lengths = {path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines()) for path in sources()}
    assert not {place for place, length in lengths.items() if length > LINES}
    middling = {place: length for place, length in lengths.items() if length > MANY_LINES}
    assert len(middling) <= FILES_OF_MANY_LINES, middling


def test_no_function_is_long() -> None:
    found = {name for name, node, _ in everything() if isinstance(node, Function) and body_lines(node) > BODY_LINES}
    assert not found


def test_nothing_public_takes_many_parameters() -> None:
    functions = ((name, node) for name, node, public in everything() if public and isinstance(node, Function))
    assert not {name for name, node in functions if parameters(node) > PARAMETERS}


def test_everything_public_says_what_it_is() -> None:
    silent = {path.relative_to(SOURCE).as_posix() for path in sources() if ast.get_docstring(parsed(path)) is None}
    for name, node, public in everything():
        silent |= {name} if public and not is_described(name, node) else set()
    assert not silent


@pytest.mark.parametrize("code", ["def f(a, b, *, c, **d): pass", "class C:\n  def f(self, a, b, *c, d): pass"])
def test_parameters_are_counted_without_the_object(code: str) -> None:
    (function,) = (node for _, node, _ in definitions(ast.parse(code), "") if isinstance(node, Function))
    assert parameters(function) == 4


def test_lines_are_counted_without_the_docstring() -> None:
    (function,) = ast.parse('@cache\ndef f():\n    """One\n\n    two."""\n    return 1\n').body
    assert isinstance(function, Function) and body_lines(function) == 2
