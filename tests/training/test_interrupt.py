import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from snnet.training import TrainingInterrupted
from snnet.training.interrupt import StopRequest


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored, and the tests may be one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_first_signal_is_noted_and_the_second_acts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_handlers_stay() -> None:
    before = signal.getsignal(signal.SIGINT)
    found = []

    def work() -> None:
        with StopRequest() as stop:
            found.append((stop.signal, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(None, before)]


def test_the_message_says_what_was_kept() -> None:
    assert "resume from a/b.pt" in str(TrainingInterrupted(3, Path("a/b.pt"), 2))
    assert "nothing was saved" in str(TrainingInterrupted(3, None, 2))
