import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnet.errors import SNNetError
from snnet.utils import WHOLE, Share, last_words, outlive_the_launcher, started_share


@given(total=st.integers(0, 200), count=st.integers(1, 9))
def test_shares_cover_everything_once_in_order(total: int, count: int) -> None:
    parts = [list(range(total))[Share(rank, count).of(total)] for rank in range(count)]
    assert [number for part in parts for number in part] == list(range(total))
    sizes = sorted(map(len, parts))
    if total % 2 == 0 and total >= 2 * count:
        assert not any(size % 2 for size in sizes) and sizes[-1] - sizes[0] <= 2
    else:
        assert sizes[-1] - sizes[0] <= 1


def test_a_process_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SNNetError, match="no process 2 of 2"):
        Share(2, 2)


def test_what_the_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert started_share() == WHOLE and WHOLE.is_first
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert started_share() == Share(1, 3) and not started_share().is_first


def handler() -> object:
    return signal.getsignal(signal.SIGTERM)


def test_sigterm_is_ignored_from_a_loss_to_the_end_of_the_block() -> None:
    assert handler() == signal.SIG_DFL
    with last_words():
        assert handler() == signal.SIG_DFL
        outlive_the_launcher()
        assert handler() == signal.SIG_IGN
    assert handler() == signal.SIG_DFL


def test_outside_the_block_and_for_handlers_of_others_nothing_changes() -> None:
    outlive_the_launcher()
    assert handler() == signal.SIG_DFL
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with last_words():
            outlive_the_launcher()
            assert handler() == signal.default_int_handler
        assert handler() == signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_set_no_handlers() -> None:
    done = []

    def work() -> None:
        with last_words():
            outlive_the_launcher()
            done.append(handler())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.SIG_DFL]
