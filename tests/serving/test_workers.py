import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from snnet.errors import EngineError, SpaceError, WorkerLostError
from snnet.export.bundle import Bundle
from snnet.network import SNNet
from snnet.runtime import Runtime
from snnet.serving.workers import ProcessWorker, ThreadWorker
from tests.bundles import STITCHES

SIZES = ((1, 28, 28), 10, 4)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 1, 28, 28), np.float32)


@pytest.fixture(scope="module")
def process(written: Path) -> Iterator[ProcessWorker]:
    worker = ProcessWorker(written, STITCHES, SIZES, cores=[0])
    yield worker
    worker.close()


def test_threads_share_a_runtime(small_net: SNNet) -> None:
    runtime = Runtime(small_net, cost="macs", any_machine=True)
    runtime.wait_ready(progress=False)
    worker = ThreadWorker(runtime)
    for stitch in map(str, runtime.stitches):
        expected = runtime(pixels(3), stitch=stitch)
        np.testing.assert_array_equal(worker.run(stitch, pixels(3)), expected)
        assert worker.loaded == stitch
    with pytest.raises(SpaceError):
        worker.run("9:9-9", pixels(1))


def test_a_process_answers_what_the_bundle_does(process: ProcessWorker, written: Path) -> None:
    bundle = Bundle.open(written)
    for stitch in STITCHES:
        for count in (1, 4, 2):
            session = bundle.session(stitch)
            (expected,) = session.run(None, {session.get_inputs()[0].name: pixels(count)})
            np.testing.assert_allclose(process.run(stitch, pixels(count)), expected, rtol=1e-5, atol=1e-5)
    assert os.sched_getaffinity(process.pid) == {0}
    with pytest.raises(EngineError, match="5 images; accepted: up to 4"):
        process.run(STITCHES[0], pixels(5))
    with pytest.raises(EngineError, match="KeyError"):
        process.run("9:9-9", pixels(1))
    assert len(process.run(STITCHES[0], pixels(1))) == 1, "a fault does not end it"


def test_a_process_that_dies_is_told_of_and_replaced(process: ProcessWorker) -> None:
    before, expected = process.pid, process.run(STITCHES[0], pixels(2))
    os.kill(before, signal.SIGKILL)
    with pytest.raises(WorkerLostError, match=rf"Worker process {before} ended \(exit code -9\)"):
        process.run(STITCHES[0], pixels(2))
    process.restart()
    assert process.pid != before
    np.testing.assert_array_equal(process.run(STITCHES[0], pixels(2)), expected)


def test_a_process_that_hangs_can_be_given_up(process: ProcessWorker) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    threading.Timer(0.1, process.interrupt).start()
    with pytest.raises(WorkerLostError):
        process.run(STITCHES[0], pixels(2))
    process.restart()
    assert len(process.run(STITCHES[0], pixels(2))) == 2


def test_a_process_ends_with_its_parents_side(written: Path) -> None:
    worker = ProcessWorker(written, STITCHES[:1], SIZES)
    pid, child = worker.pid, worker._process
    worker._pipe.close()
    child.join(10)
    assert child.exitcode == 0 and not Path(f"/proc/{pid}/fd").exists()
    worker.close()


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"A worker did not start: ExportError: There is no bundle"):
        ProcessWorker(tmp_path, STITCHES, SIZES)
