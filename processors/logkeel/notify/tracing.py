"""Spans of notifications, as the outbox tells of them. Knows no library of traces."""

from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from logkeel.notify.cases import Case, Delivery

Facts: TypeAlias = dict[str, str | int]


class NotificationTracer(Protocol):
    """Makes a span for each attempt to notify somebody."""

    def sending(self, facts: Facts, traceparent: str | None) -> AbstractContextManager[Facts]:
        """A span around the attempt, on the thread that makes it. `traceparent`: of who started the run.

        The dictionary that it gives takes `outcome`, which is known at its end.
        """
        ...


def facts_of(case: Case, delivery: Delivery) -> Facts:
    """What is known of an attempt: whose question it is about, and which one; not who is told."""
    return {
        "run_id": case.run_id,
        "incarnation": case.incarnation,
        "workflow": case.workflow,
        "path": case.question.path,
        "kind": delivery.kind,
        "channel": delivery.channel,
        "key": delivery.key,
        "attempt": delivery.attempt,
    }
