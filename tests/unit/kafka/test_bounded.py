"""A call that does not return must not take its caller with it."""

import threading

import pytest

from logkeel.errors import LogTimeout
from logkeel.kafka.bounded import BoundedCalls

SOON_S = 0.02
LIVENESS_S = 10.0


def test_it_answers_and_raises_what_the_call_does() -> None:
    calls = BoundedCalls("t")

    def refuse() -> object:
        raise ValueError("no")

    assert calls.call(lambda: 7, LIVENESS_S, "counting") == 7
    with pytest.raises(ValueError, match="no"):
        calls.call(refuse, LIVENESS_S, "counting")
    assert (calls.call(lambda: 8, LIVENESS_S, "counting"), calls.stuck, calls.stuck_s) == (8, False, 0.0)
    calls.close()


def test_while_a_call_is_stuck_every_other_is_refused() -> None:
    calls, released = BoundedCalls("t"), threading.Event()
    with pytest.raises(LogTimeout, match=r"counting did not return in 0\.02 s"):
        calls.call(released.wait, SOON_S, "counting")
    assert calls.stuck_s >= SOON_S
    with pytest.raises(LogTimeout, match="behind"):
        calls.call(lambda: 7, LIVENESS_S, "counting")
    released.set()
    done = threading.Event()
    while calls.stuck_s:
        done.wait(0.001)
    assert not calls.stuck
    assert calls.call(lambda: 9, LIVENESS_S, "counting") == 9
    calls.close()


def test_it_ends_its_thread() -> None:
    calls = BoundedCalls("ends-its-thread")
    thread = calls.call(threading.current_thread, LIVENESS_S, "asking")
    assert isinstance(thread, threading.Thread)
    assert (thread.daemon, thread.name) == (True, "ends-its-thread")
    calls.close()
    thread.join(LIVENESS_S)
    assert not thread.is_alive()
