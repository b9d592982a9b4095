"""What an exception means for the engine."""

import pytest
from tests.unit.steps.commands import command

from logkeel.errors import Fail, InvalidInput, NotDone, RetryAfter
from logkeel.records import ErrorInfo
from logkeel.steps.answers import cut_off, error_info, in_doubt


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (Fail("card_declined"), "fatal", "card_declined"),
        (RetryAfter("12s"), "retryable", "retry_after"),
        (NotDone("no"), "not_done", "not_done"),
        (InvalidInput("no"), "invalid_input", "invalid_input"),
        (OSError("no"), "retryable", "OSError"),
    ],
)
def test_an_exception_has_a_kind_and_a_stable_code(error: Exception, kind: str, code: str) -> None:
    info = error_info(error, called=True, once=False)
    assert (info.kind, info.code) == (kind, code)


def test_retry_after_says_when() -> None:
    assert error_info(RetryAfter("12s"), called=True, once=False).retry_after_ms == 12_000


@pytest.mark.parametrize(
    ("error", "called", "doubt"),
    [
        (OSError("cut"), True, True),
        (Fail("no"), True, True),
        (NotDone("no"), True, False),
        (OSError("no mailer"), False, False),
    ],
)
def test_once_is_in_doubt_unless_it_surely_did_not_happen(error: Exception, *, called: bool, doubt: bool) -> None:
    once = command(0, effect="ONCE")
    info = error_info(error, called=called, once=True)
    assert in_doubt(once, info, called=called) is doubt
    if not doubt:
        assert info.kind == "not_done"


def test_other_effects_are_never_in_doubt() -> None:
    timeout: ErrorInfo = cut_off(command(0), "timeout", called=True)
    assert timeout.kind == "timeout"
    assert not in_doubt(command(0), timeout, called=True)
    assert in_doubt(command(0, effect="ONCE"), timeout, called=True)
