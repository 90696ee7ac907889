"""Every block of Python and shell in README, start page and guides runs, in the order of its page."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snnet.anchors import ANCHORS, MODELS
from snnet.cli.app import COMMANDS
from snnet.data import SOURCES
from snnet.export import EXPORTS
from snnet.heads import HEADS
from snnet.runtime.engines import ENGINES
from snnet.serving import POLICIES
from snnet.table import COLUMNS
from snnet.tasks import TASKS
from snnet.training.samplers import SAMPLERS
from tests.docs.blocks import PAGES, ROOT, RUN, SHOWN, Block, read_blocks
from tests.docs.stand_ins import little_data, pictures, trained_network

BLOCKS = [block for page in PAGES for block in read_blocks(page)]
LEFT_OUT = [block for block in BLOCKS if block.reason is not None]


def runnable(page: Path) -> list[Block]:
    return [block for block in read_blocks(page) if block.language in RUN and block.reason is None]


WITH_CODE = [page for page in PAGES if runnable(page)]
WITH_SLOW = [page for page in WITH_CODE if any(block.slow for block in runnable(page))]


def name_of(value: object) -> str:
    return value.place if isinstance(value, Block) else str(Path(str(value)).relative_to(ROOT))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with what pages take for given; what blocks register, and import from there, goes with the test."""
    for registry in (ANCHORS, COLUMNS, ENGINES, EXPORTS, HEADS, MODELS, POLICIES, SAMPLERS, SOURCES, TASKS):
        registry.names()  # type: ignore[attr-defined]
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))  # type: ignore[attr-defined]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # Other tests run beside these, and nothing here is about how long something takes.
    monkeypatch.setattr("snnet.profiling.bench.doubts", lambda _: {})
    trained_network(tmp_path)
    pictures(tmp_path)
    for name in ("examples", "recipes"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def prepare(page: Path, folder: Path, bundle: Path) -> None:
    """Make what one page takes for given and others do without."""
    if page.name in ("bundle.md", "predict.md"):
        shutil.copytree(bundle, folder / "bundle")
    if page.name in ("evaluation.md", "prediction.md"):  # they evaluate in earnest, and take up no scores of others
        (folder / "runs" / "mine" / "table.jsonl").unlink()


def run_page(blocks: list[Block]) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        block.run(names)
    return names


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_a_page_runs_as_it_stands(place: Path, written: Path, monkeypatch: pytest.MonkeyPatch, page: Path) -> None:
    little_data(monkeypatch)
    prepare(page, place, written)
    run_page([block for block in runnable(page) if not block.slow])


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SLOW, ids=name_of)
def test_a_page_runs_with_what_is_slow(place: Path, written: Path, monkeypatch: pytest.MonkeyPatch, page: Path) -> None:
    little_data(monkeypatch)
    prepare(page, place, written)
    run_page(runnable(page))


@pytest.mark.slow
def test_the_first_program_runs_on_the_whole_data(place: Path) -> None:
    run_page([block for block in runnable(ROOT / "README.md") if block.language == "python"])


@pytest.mark.parametrize("block", LEFT_OUT, ids=name_of)
def test_what_is_left_out_is_at_least_well_formed(block: Block) -> None:
    if block.language == "python":
        block.compiled()
    else:
        assert {words[1] for words in block.commands() if words[0] == "snnet"} <= {*COMMANDS, "--help"}
    assert block.reason
    pytest.skip(block.reason)


def test_every_block_says_its_language_and_notes_are_known() -> None:
    for block in BLOCKS:
        assert block.language in (*RUN, *SHOWN), f"{block.place}: ```{block.language}"
        known = re.fullmatch(r"|slow|without snnet|not run: .+|file: \w+\.py", block.note)
        assert known or not block.note.startswith(("slow", "not", "file", "without")), f"{block.place}: {block.note}"


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) > 10
    assert not [link for link in links if not (ROOT / link).exists()]
