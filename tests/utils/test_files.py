import os
import subprocess
import sys
from pathlib import Path

import pytest

from snnet.export import EXPORTS
from snnet.utils import output_fault, write_aside, write_beside, write_folder, write_json, write_text
from snnet.utils.files import _MACHINE


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
            with write_beside(tmp_path / "a.xml", EXPORTS.get("torch")().place) as path:
                path.write_text("new")
                path.with_suffix(".bin").write_text("weights")
                if fails:
                    raise OSError("disk full")
        except OSError:
            assert [file.name for file in tmp_path.iterdir()] == ["a.xml"]
            assert (tmp_path / "a.xml").read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.xml": "new", "a.bin": "weights"}


def test_what_killed_processes_left_is_removed_and_what_others_write_is_kept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        who: f".file.txt.{machine}-{process}-0123abcd.partial"
        for who, machine, process in (
            ("dead", _MACHINE, dead.pid),
            ("alive", _MACHINE, os.getppid()),
            ("elsewhere", "00000000", dead.pid),
            ("long ago", "11111111", os.getppid()),
        )
    }
    for name in names.values():
        (tmp_path / name).write_text("half")
    (tmp_path / ".saving-abcd1234").mkdir()  # of version 0.1.0
    (tmp_path / ".saving-abcd1234" / "model.safetensors").write_text("half")
    (tmp_path / ".theirs").write_text("kept")
    for name in (names["long ago"], ".saving-abcd1234", ".theirs"):
        os.utime(tmp_path / name, (0, 0))
    write_text(tmp_path / "file.txt", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"file.txt", ".theirs", names["alive"], names["elsewhere"]}


def test_a_folder_is_replaced_as_a_whole_and_finished_by_whoever_reads_it(tmp_path: Path) -> None:
    target = tmp_path / "net"
    for what in ("old", "new"):
        with write_folder(target, last="config", gone=["table"]) as fresh:
            (fresh / "config").write_text(what)
            (fresh / ("table" if what == "old" else "weights")).write_text(what)
    assert {file.name: file.read_text() for file in target.iterdir()} == {"config": "new", "weights": "new"}
    with pytest.raises(OSError, match="disk full"), write_folder(target, last="config") as fresh:
        (fresh / "config").write_text("newer")
        raise OSError("disk full")
    assert {file.name: file.read_text() for file in target.iterdir()} == {"config": "new", "weights": "new"}
    with pytest.raises(OSError, match="disk full"), write_folder(tmp_path / "none", last="config"):
        raise OSError("disk full")
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_written_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.write_text("theirs")
    link.symlink_to(tmp_path / "nowhere")
    os.mkfifo(pipe)
    for path in (tmp_path, tmp_path / "new" / "deep"):
        assert output_fault(path) is None
    for path in (file, link, tmp_path / "new" / "deep.txt"):
        assert output_fault(path, is_file=True) is None
    for path, is_file, words in (
        (file, False, "file is a file; name a directory"),
        (file / "deep", False, "file is a file; name a directory"),
        (file / "a.txt", True, "file is a file; name another place"),
        (link, False, "link is a broken link"),
        (tmp_path, True, "for it is a directory; name a file"),
        (pipe, True, "for it is a device; name a file"),
        (Path(os.devnull), True, "for it is a device; name a file"),
    ):
        assert words in str(output_fault(path, is_file=is_file))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for is_file in (True, False):
        assert f"for {tmp_path} is not yours to write in" in str(output_fault(tmp_path / "new", is_file=is_file))
