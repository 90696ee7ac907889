import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from snnet.errors import CheckpointError
from snnet.training import content_digest
from snnet.training.checkpoint import CheckpointStore, read_checkpoint

SETTINGS = {"optim.lr": 0.1, "seed": 0}


def state(value: float, size: int = 10_000) -> dict[str, object]:
    return {"net": {"weight": torch.full((size,), value)}, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path, SETTINGS)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let writing fail for real past `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_newest_is_read_back_and_only_the_last_ones_stay(store: CheckpointStore) -> None:
    assert store.load_newest() is None
    for step in (1, 2, 10):
        store.save(step, state(step))
    assert [path.name for path in store.paths()] == ["step-00000002.pt", "step-00000010.pt"]
    newest = store.load_newest()
    assert newest is not None and newest.step == 10
    assert torch.equal(newest.state["net"]["weight"], torch.full((10_000,), 10.0))


def damaged(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    return {
        "truncated": content[:middle],
        "empty": b"",
        "altered": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "other": b"not a checkpoint",
    }[how]


@pytest.mark.parametrize("how", ["truncated", "empty", "altered", "other"])
def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path: Path, how: str) -> None:
    said: list[str] = []
    store = CheckpointStore(tmp_path, SETTINGS, on_message=said.append)
    store.save(1, state(1))
    newest = store.save(2, state(2))
    newest.write_bytes(damaged(newest.read_bytes(), how))
    found = store.load_newest()
    assert found is not None and found.step == 1
    assert len(said) == 1 and str(newest) in said[0] and "Falling back" in said[0]


def test_the_checksum_covers_what_the_archive_does_not(store: CheckpointStore) -> None:
    path = store.save(1, state(1))
    content = torch.load(path, weights_only=True)
    content["state"]["net"]["weight"][0] = 2.0
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        read_checkpoint(path)


def test_nothing_intact_is_an_error(store: CheckpointStore) -> None:
    store.save(1, state(1)).write_bytes(b"")
    with pytest.raises(CheckpointError, match="No intact checkpoint is left"):
        store.load_newest()


def test_other_settings_are_refused_by_name(store: CheckpointStore, tmp_path: Path) -> None:
    store.save(1, state(1))
    other = CheckpointStore(tmp_path, {"optim.lr": 0.2, "seed": 0, "mixup": None})
    with pytest.raises(CheckpointError, match=r"mixup was 'absent' and is None; optim.lr was 0.1 and is 0.2\."):
        other.load_newest()


def test_settings_that_are_gone_count_only_where_they_did_something_else(store: CheckpointStore) -> None:
    def written_with(**gone: object) -> CheckpointStore:
        CheckpointStore(store.directory, {**store.settings, **gone}).save(1, state(1))  # type: ignore[arg-type]
        return store

    assert written_with(stitches_per_rank="same", sync_batch_norm=False).load_newest() is not None
    with pytest.raises(CheckpointError, match="stitches_per_rank was 'different' and is 'absent'"):
        written_with(stitches_per_rank="different").load_newest()


def test_a_full_disk_leaves_the_old_checkpoint(store: CheckpointStore) -> None:
    old = store.save(1, state(1))
    with files_up_to(200_000), pytest.raises(CheckpointError) as caught:
        store.save(2, state(2, size=1_000_000))
    message = str(caught.value)
    assert "step-00000002.pt could not be written: File too large" in message
    assert f"{old} is intact" in message
    assert [path.name for path in store.directory.iterdir()] == [old.name]
    found = store.load_newest()
    assert found is not None and found.step == 1


def test_no_space_is_said(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match=r"No space left on device \(\d+ MiB free\)\. There is no earlier one"):
        store.save(1, state(1))


def test_leftovers_of_a_kill_are_removed(store: CheckpointStore) -> None:
    path = store.save(1, state(1))
    leftover = path.with_name(f".{path.name}.abc.partial")
    leftover.write_bytes(b"half")
    store.claim(resume=True)
    assert not leftover.exists() and path.exists()


def test_digest_sees_every_bit_shape_and_type() -> None:
    values = [
        torch.zeros(4),
        torch.tensor([0.0, 0.0, 0.0, -0.0]),
        torch.zeros(2, 2),
        torch.zeros(4, dtype=torch.int32),
        torch.zeros(0),
        torch.tensor(0.0),
        [0, [0]],
        [[0], 0],
        {"a": 1},
        {"a": 1.0},
    ]
    assert len({content_digest(value) for value in values}) == len(values)
    assert content_digest(torch.arange(6).reshape(2, 3).T) == content_digest(torch.tensor([[0, 3], [1, 4], [2, 5]]))
