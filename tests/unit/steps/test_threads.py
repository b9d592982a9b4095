"""The pool of plain functions."""

import threading

import pytest

from logkeel.steps.threads import DaemonThreads


def test_calls_give_results_and_errors_on_threads_that_keep_nothing_alive() -> None:
    pool = DaemonThreads(2, name="t")
    assert pool.submit(lambda: threading.current_thread().daemon).result(5)

    def fail() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        pool.submit(fail).result(5)
    assert pool.submit(lambda: 7).result(5) == 7
    pool.close()


def test_no_more_run_than_there_are_threads_and_what_waits_can_be_cancelled() -> None:
    pool, release = DaemonThreads(1, name="t"), threading.Event()
    first = pool.submit(lambda: release.wait(10))
    second, third = pool.submit(lambda: "second"), pool.submit(lambda: "third")
    assert second.cancel()
    release.set()
    assert first.result(5)
    assert third.result(5) == "third"
    assert second.cancelled()
    pool.close()


def test_closing_cancels_what_waits_and_waits_for_nobody() -> None:
    pool, release = DaemonThreads(1, name="t"), threading.Event()
    first, second = pool.submit(lambda: release.wait(10)), pool.submit(lambda: "second")
    pool.close()
    assert second.cancelled()
    assert not first.done()
    release.set()
    assert first.result(5)
