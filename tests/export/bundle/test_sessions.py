from itertools import pairwise
from pathlib import Path

import pytest

from snnet.errors import EngineError
from snnet.export.bundle import Bundle, open_session

MAPS = Path("/proc/self/maps")
needs_proc = pytest.mark.skipif(not MAPS.exists(), reason="reads /proc")


@needs_proc
def test_weights_stay_mapped_unless_they_are_packed(bundle: Bundle) -> None:
    def mapped() -> int:
        return MAPS.read_text().count(str(bundle.weights))

    before = mapped()
    shared = bundle.session("1:0-2")
    kept = mapped() - before
    packed = bundle.session("1:0-2", prepack=True)
    assert kept > 0
    assert mapped() - before - kept < kept
    del shared, packed


@needs_proc
def test_threads_are_those_asked_for(bundle: Bundle) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    sessions, counts = [], [count()]
    for threads in (1, 3, 2, 1):
        sessions.append(bundle.session(0, threads=threads))
        counts.append(count())
    # The caller is one of the threads.
    assert [after - before for before, after in pairwise(counts)] == [0, 2, 1, 0]


def test_what_is_no_graph(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match=r"onnxruntime cannot open .*broken\.onnx"):
        open_session(tmp_path / "broken.onnx")
