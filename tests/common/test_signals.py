import signal
import threading

import pytest

from common.errors import Stopped
from common.signals import handled_by, noted, raise_stopped

BOTH = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def received():
    """Signals that reach whoever stands outside; nothing else happens to them."""
    found = []
    with handled_by(lambda signum, frame: found.append(signum)):
        yield found


@BOTH
def test_a_signal_is_noted_and_told_once(signum, received):
    with noted() as signal_came:
        assert signal_came() == 0
        signal.raise_signal(signum)
        assert signal_came() == signum
        assert signal_came() == 0
    assert received == []


@BOTH
def test_a_signal_that_nobody_asked_for_is_sent_again(signum, received):
    with noted():
        signal.raise_signal(signum)
        assert received == []
    assert received == [signum]


def test_it_is_sent_again_also_after_an_error(received):
    def fail():
        with noted():
            signal.raise_signal(signal.SIGTERM)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert received == [signal.SIGTERM]


def test_inner_blocks_give_back_to_outer_ones(received):
    with noted() as outer:
        with noted() as inner:
            signal.raise_signal(signal.SIGINT)
        assert (inner(), outer()) == (signal.SIGINT, signal.SIGINT)
    assert received == []


def test_handlers_are_put_back_after_an_error():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def fail():
        with noted():
            assert signal.getsignal(signal.SIGTERM) != before[1]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@BOTH
def test_where_nothing_is_saved_a_signal_is_an_exception(signum):
    with pytest.raises(Stopped) as caught, handled_by(raise_stopped):
        signal.raise_signal(signum)
    assert caught.value.signum == signum
    assert caught.value.exit_code == 128 + signum


def test_another_thread_may_use_the_block_and_touches_no_handler(received):
    handler, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with noted() as signal_came:
            seen.append((signal_came(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(0, handler)]
