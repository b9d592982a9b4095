"""A worker as a process that kills itself at one named point.

Arguments: bootstrap prefix state_dir ledger effect point.
"""

import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

from tests.integration.steps.payments import payments

from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.records import StepAnswer, StepCommand
from logkeel.records.topics import TopicNames
from logkeel.steps import StepWorker, WorkerOptions
from logkeel.steps.group import QueueMember
from logkeel.steps.machine.messages import Commit, CommitFailed, Committed
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

    def send(self: AnswerSender, command: StepCommand, answer: StepAnswer) -> None:
        send_of(self, command, answer)
        self._producer.flush(10.0)
        die()

    AnswerSender.send = send  # type: ignore[method-assign]


def live() -> None:
    """Die nowhere."""


POINTS = {
    "before claim": die_before_claim,
    "claim to call": die_after_claim,
    "call to result": live,
    "result to acknowledged": die_after_result,
    "never": live,
}


def main() -> None:
    """Work until killed."""
    bootstrap, prefix, state_dir, ledger, effect, point = sys.argv[1:]
    POINTS[point]()
    workflow = payments(effect, Path(ledger), stop_after_call=point == "call to result")
    worker = StepWorker(
        KafkaLogClient(bootstrap),
        [workflow],
        names=TopicNames(prefix),
        clock=SystemClock(),
        state_dir=Path(state_dir),
        options=WorkerOptions(slot=0),
    )
    worker.run(threading.Event())


if __name__ == "__main__":
    main()
