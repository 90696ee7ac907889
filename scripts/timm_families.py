"""Make the table of docs/notes/timm-families.md anew: what `snnet space` makes of two models of each family of timm.

    python scripts/timm_families.py

The page names the models. A family that is refused is asked for again with the flags that the refusal names, until it
is placed or the refusal names none. Nothing is downloaded, and no weights are made.
"""

import contextlib
import io
import re
from pathlib import Path

from snnet.cli import main as snnet

PAGE = Path(__file__).parents[1] / "docs" / "notes" / "timm-families.md"
_ROW = re.compile(r"^\| `(\w+)` `(\w+)` \|.*$", re.MULTILINE)
_FLAGS = re.compile(r"(--[a-z-]+)(?: (?:N|\d+(?::\d+)?)\b)+")
_STITCHES = re.compile(r"^(\d+) stitches", re.MULTILINE)
_FILLED_IN = {"--num-classes N": "--num-classes 1000", "--image-size N": "--image-size 224"}


def families() -> list[tuple[str, str]]:
    """The models of the page, two of each family."""
    return [(first, second) for first, second in _ROW.findall(PAGE.read_text(encoding="utf-8"))]


def row(first: str, second: str) -> str:
    """The line of one family: how many stitches it has by default, or why none and with which flags how many."""
    count, told = _space(first, second)
    if count is not None:
        return f"| `{first}` `{second}` | {count} | |"
    flags, why = "", _reason(told)
    while count is None and (found := _FLAGS.search(told)) is not None and found[1] not in flags:
        flags = f"{flags} {_FILLED_IN.get(found[0], found[0])}".strip()
        count, told = _space(first, second, *flags.split())
    if count is not None:
        return f"| `{first}` `{second}` | {why} | {count} with `{flags}` |"
    return f"| `{first}` `{second}` | {why} | `snnet.anchor_from_modules` |"


def _space(*tokens: str) -> tuple[int | None, str]:
    """The number of stitches, or None and the error."""
    printed, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
        code = snnet(["space", *tokens])
    found = _STITCHES.search(printed.getvalue())
    if (code == 0) != (found is not None):
        raise RuntimeError(f"snnet space {' '.join(tokens)} ended with {code}: {told.getvalue()}")
    return (int(found[1]) if found else None), " ".join(told.getvalue().split())


def _reason(error: str) -> str:
    reasons = {
        "image size": "other image sizes",
        "number of stages": "other numbers of stages",
        "has no classifier": "no classifier",
        "cut must move on": "the cheaper one is deeper",
        "anchor_from_modules": "not taken apart by itself",
        "not one tensor": "not taken apart by itself",
    }
    known = [short for words, short in reasons.items() if words in error]
    if not known:
        raise RuntimeError(f"An error of no known kind: {error}")
    return known[0]


def main() -> None:
    """Write the page with every line made anew."""
    text = _ROW.sub(lambda match: row(match[1], match[2]), PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
