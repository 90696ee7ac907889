from pathlib import Path

import pytest

from snnet.files import write_aside, write_json, write_text


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
