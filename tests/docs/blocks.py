"""Read the code blocks of a page, and run them.

A comment on the line before a block, which readers do not see, says what is special about it:

    <!-- not run: REASON -->   it is left out, and a test says why
    <!-- slow -->              it is run with -m slow only
    <!-- file: NAME -->        it is written to a file of that name
    <!-- without snnet -->     it is run by itself, where neither snnet nor torch can be imported
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnet.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / name for name in ("index.md", "start.md")),
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
]
RUN = ("python", "sh")
SHOWN = ("text", "json", "toml", "yaml")
_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (.*) -->$")


@dataclass(frozen=True)
class Block:
    """Code of a page, where it stands, and what a comment before it says."""

    page: Path
    line: int
    language: str
    code: str
    note: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def reason(self) -> str | None:
        """Why it is left out."""
        return self.note.removeprefix("not run: ") if self.note.startswith("not run: ") else None

    @property
    def slow(self) -> bool:
        return self.note == "slow"

    def run(self, names: dict[str, Any]) -> None:
        """Run it in the working directory; Python shares `names`."""
        if self.note.startswith("file: "):
            Path(self.note.removeprefix("file: ")).write_text(self.code, encoding="utf-8")
        elif self.note == "without snnet":
            hide = "import sys; sys.modules['snnet'] = sys.modules['torch'] = None\n"
            subprocess.run([sys.executable, "-c", hide + self.code], check=True)
        elif self.language == "python":
            exec(self.compiled(), names)
        else:
            for command in self.commands():
                run_command(command, self.place)

    def compiled(self) -> Any:
        # Errors name the line of the page.
        return compile("\n" * self.line + self.code, str(self.page), "exec")

    def commands(self) -> Iterator[list[str]]:
        """The words of each command."""
        for line in self.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while "&&" in words:
                yield words[: words.index("&&")]
                words = words[words.index("&&") + 1 :]
            if words:
                yield words


def run_command(words: list[str], place: str) -> None:
    """Run `snnet` in this process, which saves starting it anew, and anything else as it is."""
    output = words[words.index(">") + 1] if ">" in words else os.devnull
    words = words[: words.index(">")] if ">" in words else words
    if words[0] == "snnet":
        with Path(output).open("w") as file, redirect_stdout(file):
            assert main(words[1:]) == 0, f"{place}: {shlex.join(words)}"
    else:
        subprocess.run(words, check=True)


def read_blocks(page: Path) -> list[Block]:
    """All blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip("\n").splitlines()[-1:]
        comment = _COMMENT.fullmatch(before[0].strip()) if before else None
        indent, language, code = match.groups()
        code = "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language, code, comment.group(1) if comment else ""))
    return found
