"""Who sends requests, and the human who is asked about ONCE steps in doubt. Outsiders: no fault concerns them."""

from collections import deque
from random import Random

import msgspec
from tests.sim.forks import fork_of
from tests.sim.known import BY_NAME
from tests.sim.limits import claim_of_nobody
from tests.sim.outside import Outside, call_path
from tests.sim.plan import Plan, RunPlan, Sending
from tests.sim.retries import Retries
from tests.sim.workload import WORKFLOWS

from logkeel.client.building import input_digest
from logkeel.log import OutputRecord, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    AnswerQuestion,
    CancelRun,
    FieldWrite,
    ForkRun,
    PauseRun,
    Payload,
    Request,
    RequestRejected,
    ResolveStep,
    ResumeRun,
    RunCompleted,
    RunEvent,
    SignalRun,
    StartRun,
)
from logkeel.records.topics import TopicNames
from logkeel.runs.core.budgets import is_budget_question
from logkeel.testing.world import World
from logkeel.testing.world.reading import read
from logkeel.wire import encode

ANSWER_AFTER_MS = 200.0
GARBAGE = b"garbage"
"""The key of what nobody can read."""

NO_GARBAGE = ("definitions", "claim")
"""Planted things that can be read, but should not be there."""

NEVER_BEGAN = ("cancelled", "unknown_workflow", "turn_was_followed")
"""Why a run that was asked for never begins: cancelled before its turn, or a child whose workflow nobody has. Or why it
does not go on.
"""

NOTHING = FieldWrite(field="result", payload=Payload(encoding="json", data=b"0"))
"""What a journaled call that happened is said to have returned."""


class Sender:
    """Sends what the plan says, when it says so."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._producer = world.client.producer()
        due = [
            (sending.at_ms, number, run, sending) for run in plan.runs for number, sending in enumerate(run.sendings)
        ]
        self._due = deque(sorted(due, key=lambda each: (each[0], each[2].run_id, each[1])))
        self._garbage = deque(sorted(plan.garbage, key=lambda each: each[1]))
        self.forks: dict[str, ForkRun] = {}

    @property
    def is_done(self) -> bool:
        """Whether everything was sent."""
        return not self._due and not self._garbage

    def turn(self) -> bool:
        moved = False
        while self._due and self._due[0][0] <= self._world.elapsed_ms:
            _, number, run, sending = self._due.popleft()
            self._send(run, sending, number)
            moved = True
        while self._garbage and self._garbage[0][1] <= self._world.elapsed_ms:
            self._send_garbage(self._garbage.popleft()[0])
            moved = True
        self._producer.poll(0.0)
        return moved

    def start(self, run: RunPlan) -> None:
        """Send a start now."""
        self._send(run, Sending("start", 0.0), 0)

    def _send(self, run: RunPlan, sending: Sending, number: int) -> None:
        if sending.kind == "fork":
            self._fork(run)
            return
        settings = self._world.settings
        home = partition_for(run.routing_key.encode(), settings.partitions)
        partition = (home + 1) % settings.partitions if sending.astray else home
        self._world.trace.note(self._world.elapsed_ms, "sender", "SENDS", f"{sending.kind} {run.run_id} to {partition}")
        value = encode(_request(run, sending, number))
        self._producer.produce(OutputRecord(self._world.names.run_requests, run.run_id.encode(), value, partition))

    def _fork(self, run: RunPlan) -> None:
        """From where it is now. Once it was, the same request comes again."""
        known = self.forks.get(run.run_id)
        request = fork_of(self._world, run.run_id) if known is None else known
        if request is not None:
            self.forks[run.run_id] = request
            self._world.trace.note(self._world.elapsed_ms, "sender", "FORKS", run.run_id)
            self._producer.produce(
                OutputRecord(self._world.names.run_requests, request.run_id.encode(), encode(request))
            )

    def _send_garbage(self, kind: str) -> None:
        names = self._world.names
        self._world.trace.note(self._world.elapsed_ms, "sender", "SENDS", f"garbage to {kind}")
        if kind == "claim":
            self._producer.produce(claim_of_nobody(names, self._world.settings.partitions))
            return
        if kind == "definitions":
            definition = BY_NAME["chain"].definition()
            other = msgspec.structs.replace(BY_NAME["fan"].definition(), name=definition.name)
            key = f"{definition.name}@{definition.version}".encode()
            self._producer.produce(OutputRecord(names.workflow_definitions, key, encode(other)))
            return
        self._producer.produce(OutputRecord(topic_of_garbage(names, kind), GARBAGE, b"\x00nobody can read this", 0))


def topic_of_garbage(names: TopicNames, kind: str) -> str:
    """Where a record that nobody can read is sent to."""
    return {"requests": names.run_requests, "results": names.step_results, "commands": names.step_commands()}[kind]


def _request(run: RunPlan, sending: Sending, number: int) -> Request:
    request_id = f"{run.run_id}/{sending.kind}" if sending.same_id else f"{run.run_id}/{sending.kind}/{number}"
    match sending.kind:
        case "start":
            whose = {} if run.conversation is None else {"who": run.conversation}
            inputs = BY_NAME[run.workflow].encode_input({"number": run.number, **whose})
            return StartRun(
                workflow=run.workflow,
                run_id=run.run_id,
                request_id=request_id,
                conversation_id=run.conversation,
                inputs=inputs,
                input_digest=input_digest(inputs),
            )
        case "signal":
            key = run.conversation
            return SignalRun(run_id=run.run_id, name=sending.name, request_id=request_id, routing_key=key)
        case "pause":
            return PauseRun(run_id=run.run_id, request_id=request_id)
        case "resume":
            return ResumeRun(run_id=run.run_id, request_id=request_id)
        case "fork":
            raise ValueError("a fork is made of a history")
        case "cancel":
            return CancelRun(run_id=run.run_id, request_id=request_id, routing_key=run.conversation)


class Human:
    """Reads histories and completions. Asked about a step in doubt, looks at the outside, and asks who is at work."""

    def __init__(self, world: World, outside: Outside) -> None:
        self._world = world
        self._outside = outside
        self._producer = world.client.producer()
        self._reader = world.client.reader("read_committed")
        topics = (world.names.run_events, world.names.run_completions)
        self._reader.assign({TopicPartition(t, n): 0 for t in topics for n in range(world.settings.partitions)})
        self._doubts: dict[tuple[str, str, int], float] = {}
        self._replies: list[tuple[float, AnswerQuestion]] = []
        self._places: dict[tuple[str, str, int], str] = {}
        self._asked_at: dict[tuple[str, str, int], int] = {}
        self._retries = Retries(world, outside)
        self.ended: set[str] = set()
        self.children: set[str] = set()
        self.asked = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be sent at a later time: after weeks, nobody would know the run."""
        return self._retries.is_done

    def turn(self) -> bool:
        fetched = self._reader.fetch(1_000, 0.0)
        for record in fetched.records:
            message = read(record.value or b"")
            if isinstance(message, RunEvent):
                self._watch(message)
            elif isinstance(message, RunCompleted):
                if not self._retries.plans(message):
                    self.ended.add(message.run_id)
            elif isinstance(message, RequestRejected) and message.code in NEVER_BEGAN:
                self.ended.add(message.run_id or "")
        if self._doubts:
            for key in [key for key, due_ms in self._doubts.items() if due_ms <= self._world.elapsed_ms]:
                self._answer(*key)
        if self._replies:
            self._reply()
        for request in self._retries.due():
            self._producer.produce(
                OutputRecord(self._world.names.run_requests, request.run_id.encode(), encode(request))
            )
        self._producer.poll(0.0)
        return bool(fetched.records)

    def _watch(self, event: RunEvent) -> None:
        key = (event.run_id, event.path or "", event.dispatch or 0)
        if event.kind == "step_in_doubt" and event.due_ms is None:
            self._doubts[key] = self._world.elapsed_ms + ANSWER_AFTER_MS
            self._asked_at[key] = event.revision
            self._places[key] = key[1] if event.journal is None else call_path(key[1], event.journal.name)
        elif event.kind == "question_asked":
            self._consider(event)
        elif event.kind == "child_started":
            self.children.add(event.name or "")
        elif event.kind in ("step_succeeded", "step_resolved", "step_revoked"):
            self._doubts.pop(key, None)
        elif event.kind in ("run_completed", "run_forked"):
            # What a fork begins with was asked in the other run: it asks anew what it has to know.
            self._doubts = {each: due_ms for each, due_ms in self._doubts.items() if each[0] != event.run_id}

    def _consider(self, event: RunEvent) -> None:
        """Of two humans who are asked, one or both may answer, sooner or later, and sometimes twice."""
        draw = Random(f"{event.run_id}/{event.revision}")
        most = draw.choice((0, 1, 2, 2))
        if event.path is not None and is_budget_question(event.path):
            most = max(most, 1)  # it has no time-out
        for name in ("ada", "bob")[:most]:
            verb, at_ms = draw.choice(("approve", "reject")), self._world.elapsed_ms + draw.choice((50, 400, 1_500))
            request = AnswerQuestion(
                run_id=event.run_id,
                path=event.path or "",
                verb=verb,
                request_id=f"question/{event.run_id}/{event.revision}/{name}",
                question=event.revision,
                answered_by=name,
            )
            self._replies += [(at_ms, request)] * draw.choice((1, 1, 2))
        if Random(f"{event.run_id}/{event.revision}/hands on").random() < 0.2:
            handed = AnswerQuestion(
                run_id=event.run_id,
                path=event.path or "",
                verb="delegate",
                request_id=f"question/{event.run_id}/{event.revision}/handed",
                question=event.revision,
                answered_by="ada",
                assignee="eve",
            )
            self._replies.append((self._world.elapsed_ms + 20, handed))

    def _reply(self) -> None:
        due = [request for at_ms, request in self._replies if at_ms <= self._world.elapsed_ms]
        self._replies = [each for each in self._replies if each[0] > self._world.elapsed_ms]
        for request in due:
            self._world.trace.note(self._world.elapsed_ms, "human", "ANSWERS", f"{request.verb} {request.run_id}")
            key = request.run_id.encode()
            self._producer.produce(OutputRecord(self._world.names.run_requests, key, encode(request)))

    def _answer(self, run_id: str, path: str, dispatch: int) -> None:
        place = self._places[run_id, path, dispatch]
        if self._somebody_is_at_it(run_id, place):
            self._doubts[run_id, path, dispatch] = self._world.elapsed_ms + ANSWER_AFTER_MS
            return
        del self._doubts[run_id, path, dispatch]
        self.asked += 1
        happened = any(
            line.what == "effect" and (line.run_id, line.path) == (run_id, place) for line in self._outside.lines
        )
        request = ResolveStep(
            run_id=run_id,
            path=path,
            decision="did" if happened else "did_not",
            request_id=f"answer/{run_id}/{path}/{self._asked_at[run_id, path, dispatch]}",
            dispatch=dispatch,
            writes=(NOTHING,) if happened and place != path else (),
        )
        self._world.trace.note(self._world.elapsed_ms, "human", "ANSWERS", f"{request.decision} {run_id} {path}")
        self._producer.produce(OutputRecord(self._world.names.run_requests, run_id.encode(), encode(request)))

    def _somebody_is_at_it(self, run_id: str, path: str) -> bool:
        """Whether a process that can be asked, as it neither died nor stands still, is in this step."""
        return self._outside.is_inside(run_id, path)


__all__ = ["WORKFLOWS", "Human", "Sender"]
