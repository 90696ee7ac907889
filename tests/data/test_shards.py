import tarfile
from pathlib import Path

import pytest

pytest.importorskip("webdataset", reason="the package webdataset is not installed")

from snnet.data.shards import Member, Shard
from snnet.errors import DataError
from tests.data.shard_files import jpeg, sample, write_shard, write_shards


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_shards(tmp_path, [5])[0]


def test_samples_are_found_without_reading_their_content(path: Path) -> None:
    file = Shard(path)
    assert [found.key for found in file.samples] == [f"s{n:04}" for n in range(5)]
    assert file.read(file.samples[3].files["jpg"]) == jpeg(3)
    assert file.read(file.samples[3].files["cls"]) == b"1"
    file.close()
    assert file.read(file.samples[4].files["jpg"]) == jpeg(4)
    file.close()


def test_the_content_of_files_plays_no_part(path: Path) -> None:
    members = [m for s in Shard(path).samples for m in s.files.values()]
    data = bytearray(path.read_bytes())
    for member in members:
        data[member.offset : member.offset + member.size] = bytes(member.size)
    path.write_bytes(data)
    assert [m for s in Shard(path).samples for m in s.files.values()] == members


def test_what_is_no_sample_is_passed_over(tmp_path: Path) -> None:
    shard = tmp_path / "train.tar"
    (tmp_path / "README").write_text("about")
    (tmp_path / "._s1.jpg").write_text("of macOS")
    (tmp_path / "s1.JPG").write_bytes(jpeg(0))
    with tarfile.open(shard, "w") as archive:
        for name in ("README", "._s1.jpg", "s1.JPG"):
            archive.add(tmp_path / name, name)
        archive.add(tmp_path, "folder", recursive=False)
    assert [(s.key, list(s.files)) for s in Shard(shard).samples] == [("s1", ["jpg"])]


def test_the_number_of_samples_is_counted_once(path: Path) -> None:
    shard = Shard(path)
    assert len(shard) == 5
    path.unlink()
    assert len(shard) == 5
    with pytest.raises(DataError, match=r"Shard .*train-0000.tar cannot be read: .*No such file"):
        _ = shard.samples


def test_another_number_than_told_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match=r"train-0000.tar holds 5 samples where 6 are expected; copy it anew"):
        _ = Shard(path, 6).samples


@pytest.mark.parametrize("keep", [0.2, 0.3, 0.45, 0.6])
def test_a_shard_that_is_cut_off_anywhere_is_refused(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DataError, match=r"train-0000.tar is cut off or damaged after .*; copy it anew"):
        _ = Shard(path).samples


def test_a_shard_cut_off_between_samples_is_refused(path: Path) -> None:
    end = Shard(path).samples[2].files["jpg"]
    path.write_bytes(path.read_bytes()[: -(-(end.offset + end.size) // 512) * 512])
    with pytest.raises(DataError, match=r"cut off or damaged after s0002.jpg"):
        _ = Shard(path).samples


@pytest.mark.parametrize("content", [b"", b"not a tar file at all " * 60])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"train.tar is no plain tar file"):
        _ = Shard(tmp_path / "train.tar").samples


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "train.tar.gz", [sample(0)])
    with pytest.raises(DataError, match=r"is no plain tar file .* without compression"):
        _ = Shard(tmp_path / "train.tar.gz").samples


def test_a_shard_that_became_shorter_is_noticed(path: Path) -> None:
    file = Shard(path)
    last = file.samples[4].files["jpg"]
    path.write_bytes(path.read_bytes()[: last.offset + 10])
    with pytest.raises(DataError, match="cut off or damaged after"):
        file.read(Member(last.offset, last.size))
    file.close()


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "train.tar", [sample(0), sample(0)])
    with pytest.raises(DataError, match=r"train.tar holds s0000\.\w+ twice; give every sample a key of its own"):
        _ = Shard(path).samples
