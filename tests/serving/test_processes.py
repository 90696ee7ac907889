import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from snnet.errors import EngineError, WorkerLostError
from snnet.export.bundle import Bundle
from snnet.serving.processes import ProcessWorker
from snnet.serving.template import Template
from tests.bundles import STITCHES
from tests.serving.test_workers import pixels

SIZES = ((1, 28, 28), (10,), 4)


@pytest.fixture(scope="module")
def process(written: Path) -> Iterator[ProcessWorker]:
    worker = ProcessWorker(Template(written, STITCHES), SIZES, cores=[0])
    yield worker
    worker.close()


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
    worker = ProcessWorker(Template(written, STITCHES[:1]), SIZES)
    worker._pipe.close()
    assert worker._template.ended(worker.pid, 10) == 0 and not Path(f"/proc/{worker.pid}").exists()
    template = worker._template.pid
    worker.close()
    assert not Path(f"/proc/{template}").exists(), "it ends with its last worker"


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"A worker did not start: ExportError: There is no bundle"):
        Template(tmp_path, STITCHES)


def test_a_worker_outlives_what_it_is_a_copy_of(written: Path) -> None:
    template = Template(written, STITCHES[:1])
    worker = ProcessWorker(template, SIZES)
    expected, before = worker.run(STITCHES[0], pixels(2)), template.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    template._process.join()
    np.testing.assert_array_equal(worker.run(STITCHES[0], pixels(2)), expected)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerLostError, match="exit code None"):
        while True:
            worker.run(STITCHES[0], pixels(2))
    worker.restart()
    assert template.pid != before, "another template was made"
    np.testing.assert_array_equal(worker.run(STITCHES[0], pixels(2)), expected)
    worker.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_workers_share_what_they_do_not_change(written: Path, threads: int) -> None:
    psutil = pytest.importorskip("psutil")
    template = Template(written, STITCHES, threads)
    workers = [ProcessWorker(template, SIZES) for _ in range(3)]
    expected = workers[0].run(STITCHES[1], pixels(4))
    for worker in workers:
        np.testing.assert_allclose(worker.run(STITCHES[1], pixels(4)), expected, rtol=1e-5, atol=1e-5)
    own = [psutil.Process(worker.pid).memory_full_info() for worker in workers]
    assert all(each.pss < 0.7 * each.rss for each in own)
    assert len({worker.pid for worker in workers}) == 3
    for worker in workers:
        worker.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(psutil.pid_exists(worker.pid) for worker in workers):
        time.sleep(0.01)
    assert not any(psutil.pid_exists(worker.pid) for worker in workers)
