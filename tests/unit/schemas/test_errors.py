"""The error tree: drawn as it is, codes stable, errors survive a process boundary."""

import pickle
import re

import pytest

import logkeel.errors
from logkeel.errors import Fail, LogkeelError, RetryAfter, tree

BRANCHES = {"AuthorError", "StepError", "DataError", "CallerError", "EngineError", "OperatorError"}

CODES = """
artifacts_unavailable authentication_failed author_error authorization_failed blob_missing blob_store_unavailable
broker_died broker_error broker_locked call_failed caller_error certificate_refused changelog_replaced
changelog_truncated client_stuck co_partitioning_broken commit_in_doubt config_invalid consumer_fenced crash_loop
data_error definition_invalid disk_full engine_error engines_running fail forbidden gateway_unprotected invalid_input
invariant_violation journal_diverged letter_not_found log_timeout log_unavailable logkeel_error not_done
operator_error partition_count_changed payload_tampered payload_too_large port_taken position_out_of_range
producer_fatal producer_fenced question_not_found read_model_behind record_too_large request_rejected retry_after
run_failed run_not_found slot_taken stale_generation state_lost step_error step_process_died step_signature
store_ahead store_corrupt store_locked store_stale store_unavailable too_many_requests topic_mismatch topic_missing
transaction_abortable transaction_hangs transactions_unavailable unauthenticated undecodable_record
unknown_payload_key unknown_schema
wait_timed_out
"""


def every_error() -> list[type[LogkeelError]]:
    found, queue = [], [LogkeelError]
    while queue:
        kind = queue.pop(0)
        found.append(kind)
        queue.extend(child for child in kind.__subclasses__() if child.__module__.startswith("logkeel.errors."))
    return found


def drawn() -> dict[str, tuple[str, str | None]]:
    """Parent and code of each class in the docstring's drawing."""
    out: dict[str, tuple[str, str | None]] = {}
    stack = ["LogkeelError"]
    for line in (tree.__doc__ or "").splitlines():
        match = re.match(r"^    ([│ ]*)[├└]── (\w+)\s*(.*)$", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + 1
        stack[depth:] = [match[2]]
        code = re.match(r"([a-z_]+)(\s{2,}|$)", match[3])
        out[match[2]] = (stack[depth - 1], code[1] if code else None)
    return out


def made(kind: type[LogkeelError]) -> LogkeelError:
    if kind is RetryAfter:
        return RetryAfter("12s")
    if kind is Fail:
        return Fail("card_declined", "no money", card="1234")
    return kind("what happened, what to do", topic="t", partition=3)


def test_the_drawing_is_the_tree() -> None:
    classes = {kind.__name__: kind.__bases__[0].__name__ for kind in every_error() if kind is not LogkeelError}
    assert {name: parent for name, (parent, _) in drawn().items()} == classes


def test_the_drawing_shows_the_codes() -> None:
    codes = {kind.__name__: kind.code for kind in every_error()}
    shown = {name: code for name, (_, code) in drawn().items() if code is not None}
    assert len(shown) > 40
    assert shown == {name: codes[name] for name in shown}


def test_codes_are_unique_and_stable() -> None:
    codes = [kind.code for kind in every_error()]
    assert sorted(codes) == CODES.split()


def test_every_error_is_exported() -> None:
    assert sorted(kind.__name__ for kind in every_error()) == sorted(logkeel.errors.__all__)


def test_each_branch_has_its_exit_code() -> None:
    by_branch = {kind.__name__: kind.exit_code for kind in every_error() if kind.__name__ in BRANCHES}
    assert sorted(by_branch.values()) == [10, 11, 12, 13, 14, 15]
    for kind in every_error():
        branch = [parent.__name__ for parent in kind.__mro__ if parent.__name__ in BRANCHES]
        assert kind.exit_code == (by_branch[branch[0]] if branch else 1)
    for name, code in by_branch.items():
        assert re.search(rf"{name}\s{code}\b", tree.__doc__ or "")


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_errors_survive_pickling(kind: type[LogkeelError]) -> None:
    error = made(kind)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is kind
    assert (str(copy), copy.message, copy.details) == (str(error), error.message, error.details)


def test_details_are_attributes() -> None:
    error = logkeel.errors.TopicMissing("topic t is missing", topic="t")
    assert error.topic == "t"
    with pytest.raises(AttributeError, match="no attribute 'partition'"):
        _ = error.partition
