from pathlib import Path

import pytest

from snnet.utils import write_aside, write_beside, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = write_text(tmp_path / "deep" / "file.txt", "old")
    with pytest.raises(OSError, match="disk full"), write_aside(target) as partial:
        partial.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_whole_write_replaces(tmp_path: Path) -> None:
    target = tmp_path / "file.json"
    write_json(target, {"a": 1})
    write_json(target, {"a": 2})
    assert '"a": 2' in target.read_text()
    assert target.stat().st_mode & 0o044


def test_several_files_come_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("old")
    for fails in (True, False):
        try:
            with write_beside(tmp_path / "a.xml") as path:
                path.write_text("new")
                path.with_suffix(".bin").write_text("weights")
                if fails:
                    raise OSError("disk full")
        except OSError:
            assert [file.name for file in tmp_path.iterdir()] == ["a.xml"]
            assert (tmp_path / "a.xml").read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.xml": "new", "a.bin": "weights"}
