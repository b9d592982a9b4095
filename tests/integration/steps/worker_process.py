"""A worker as a process that kills itself at one named point.

Arguments: bootstrap prefix state_dir ledger effect point [queue, which is then the workflow's name, too].
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from tests.integration.steps.payments import payments

from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.records import StepAnswer, StepCommand
from logkeel.records.topics import TopicNames
from logkeel.steps import StepWorker, WorkerOptions
from logkeel.steps.execution import Execution
from logkeel.steps.executor import StepExecutor
from logkeel.steps.group import QueueMember
from logkeel.steps.machine.messages import Commit, CommitFailed, Committed, StartStep
from logkeel.steps.sender import AnswerSender


def die() -> NoReturn:
    """End without any clean-up."""
    os.kill(os.getpid(), 9)
    raise AssertionError("still alive")


def die_before_claim() -> None:
    """At the first commit that carries a claim, before it is sent."""
    commit_of = QueueMember.commit

    def dying_commit(self: QueueMember, commit: Commit) -> Committed | CommitFailed:
        return die() if commit.claims else commit_of(self, commit)

    QueueMember.commit = dying_commit  # type: ignore[method-assign]


def die_after_claim() -> None:
    """At the first commit that carries a claim, once it is acknowledged."""
    commit_of = QueueMember.commit

    def dying_commit(self: QueueMember, commit: Commit) -> Committed | CommitFailed:
        outcome = commit_of(self, commit)
        return die() if commit.claims and isinstance(outcome, Committed) else outcome

    QueueMember.commit = dying_commit  # type: ignore[method-assign]


def die_after_result() -> None:
    """When the first answer is on the log, before anybody here has heard so."""
    send_of = AnswerSender.send

    def send(
        self: AnswerSender, command: StepCommand, answer: StepAnswer, kept: Callable[[], None] | None = None
    ) -> None:
        send_of(self, command, answer, kept)
        self.flush(10.0)
        die()

    AnswerSender.send = send  # type: ignore[method-assign]


def die_before_sending() -> None:
    """With a result that nobody but this process and its disk has."""

    def dispatch(self: AnswerSender) -> None:
        if self._unsent:
            die()

    AnswerSender.dispatch = dispatch  # type: ignore[method-assign]


def die_before_start() -> None:
    """With a command taken and nothing said or done about it."""

    def submit(self: StepExecutor, starts: Sequence[StartStep], *, claimed_at_s: float) -> None:
        die()

    StepExecutor.submit = submit  # type: ignore[method-assign]


def die_before_call() -> None:
    """With everything ready, and the claim made if there is one."""
    Execution._begin = lambda *_: die()  # type: ignore[method-assign]


def live() -> None:
    """Die nowhere."""


POINTS = {
    "before start": die_before_start,
    "before call": die_before_call,
    "before claim": die_before_claim,
    "claim to call": die_after_claim,
    "call to result": live,
    "result to sent": die_before_sending,
    "result to acknowledged": die_after_result,
    "never": live,
}


def main() -> None:
    """Work until killed."""
    bootstrap, prefix, state_dir, ledger, effect, point, *queues = sys.argv[1:]
    POINTS[point]()
    queue = queues[0] if queues else "default"
    name = queues[0] if queues else "payments"
    stop = point == "call to result"
    workflow = payments(effect, Path(ledger), stop_after_call=stop, name=name, queue=queue)
    worker = StepWorker(
        KafkaLogClient(bootstrap),
        [workflow],
        names=TopicNames(prefix),
        clock=SystemClock(),
        state_dir=Path(state_dir),
        options=WorkerOptions(slot=0, queue=queue),
    )
    worker.run(threading.Event())


if __name__ == "__main__":
    main()
