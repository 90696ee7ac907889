import signal
import threading

from snnet.utils import last_words, outlive_the_launcher


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
