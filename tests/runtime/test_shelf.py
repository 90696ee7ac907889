"""The thread that makes stitches ready; what the shelf gives is tested through the runtime."""

import threading
import time

import pytest

from snnet.runtime.engines import Ready
from snnet.runtime.shelf import Shelf
from snnet.space import Stitch

FLOOR, OTHER, BROKEN = map(Stitch, ("0:0-2", "1:0-2", "0:0-1,1:1-2"))


class Nothing(Ready):
    """Takes ten bytes."""

    nbytes = 10

    def __call__(self, images: object) -> object:  # type: ignore[override]
        return images


@pytest.fixture
def shelf():  # type: ignore[no-untyped-def]
    built = Shelf(build, FLOOR)
    yield built
    built.close()


def build(stitch: Stitch) -> Ready:
    if stitch == BROKEN:
        raise OSError("out of sockets")
    return Nothing()


def test_a_failure_is_written_under_the_lock_that_readers_take(shelf: Shelf) -> None:
    begun, go = threading.Event(), threading.Event()

    def fail(stitch: Stitch) -> Ready:
        begun.set()
        go.wait(10)
        raise OSError(f"{stitch} is away")

    shelf._build = fail
    shelf.ask_for(BROKEN)
    assert begun.wait(10)
    with shelf._changed:
        go.set()
        time.sleep(0.1)
        assert not shelf._failures
    assert shelf.wait(10)
    assert [str(error) for error in shelf.failures.values()] == [f"{BROKEN} is away"]


def test_counters_are_of_one_moment(shelf: Shelf) -> None:
    shelf.ask_for(OTHER)
    shelf.ask_for(BROKEN)
    assert shelf.wait(timeout=10)
    assert shelf.counters() == {
        "built": 2,
        "evicted": 0,
        "failed": 1,
        "building": 0,
        "nbytes": 20,
        "ready": (FLOOR, OTHER),
    }
    shelf.failures.clear()
    assert shelf.counters()["failed"] == 1
