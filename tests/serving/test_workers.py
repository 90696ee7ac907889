import numpy as np
import pytest

from snnet.errors import SpaceError
from snnet.network import SNNet
from snnet.runtime import Runtime
from snnet.serving.workers import ThreadWorker


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 1, 28, 28), np.float32)


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
