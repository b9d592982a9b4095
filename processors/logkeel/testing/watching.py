"""Watches one run from outside, by its events alone: its state, whom it asks, what it waits for, when it goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from logkeel.client.building import plain_result
from logkeel.log import LogClient, Record, TopicPartition
from logkeel.projection import RunView, WaitView, views
from logkeel.projection.projection import fold
from logkeel.projection.waits import shown
from logkeel.records import FieldValue, RequestRejected, RunCompleted, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.runs.core.apply import apply
from logkeel.runs.core.paths import static
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState
from logkeel.testing.faking import FakedWorkflow
from logkeel.wire import decode
from logkeel.workflow import Workflow
from logkeel.workflow.context import StepErrorView
from logkeel.workflow.payloads import decode_field, is_absent
from logkeel.workflow.trials import Question

AT_WORK = ("dispatched", "started")
DOUBT_VERBS = ("did", "did_not", "retry")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is open, and what an answer has to say it is for. `number`: of the question, or a dispatch."""

    question: Question
    number: int
    writes: str | None
    answer: str | None
    asked_ms: int

    @property
    def key(self) -> tuple[str, int, str | None]:
        """Tells one asking from another: a question that goes to somebody else is asked again."""
        return self.question.path, self.number, self.question.assignee


class RunWatch:
    """One run of a workflow. `catch_up` reads what is new; everything else is as of then."""

    def __init__(
        self,
        client: LogClient,
        names: TopicNames,
        partitions: int,
        workflow: "Workflow[Any] | FakedWorkflow",
        run_id: str,
    ) -> None:
        self.workflow = workflow
        self.run_id = run_id
        definition = workflow.definition()
        self.plan = Plan(workflow.document(), definition.digest)
        self.state: RunState | None = None
        self.view: RunView | None = None
        self.events: list[RunEvent] = []
        self.outcome: RunCompleted | RequestRejected | None = None
        self._events_topic = names.run_events
        self._reader = client.reader("read_committed")
        topics = (names.run_events, names.run_completions)
        self._reader.assign({TopicPartition(topic, n): 0 for topic in topics for n in range(partitions)})

    def catch_up(self) -> bool:
        """Read on; whether there was anything."""
        fetched = self._reader.fetch(1_000, 0.0)
        for record in fetched.records:
            if record.topic == self._events_topic:
                self._take(record)
            else:
                self._complete(record)
        return bool(fetched.records)

    def _take(self, record: Record) -> None:
        event = decode(record.value or b"")
        if not isinstance(event, RunEvent) or event.run_id != self.run_id:
            return
        self.events.append(event)
        if self.state is None or self.view is None:
            self.state, self.view = replay([event], self.plan), fold([event])
        else:
            apply(self.state, event, self.plan)
            views.apply(self.view, event)

    def _complete(self, record: Record) -> None:
        message = decode(record.value or b"")
        if isinstance(message, RunCompleted | RequestRejected) and message.run_id == self.run_id:
            self.outcome = self.outcome or message

    # What it waits for

    def is_at_work(self) -> bool:
        """Whether a step is with a worker, or on its way to one."""
        return self.state is None or any(step.phase in AT_WORK for step in self.state.steps.values())

    def next_due_ms(self) -> int | None:
        """When time alone brings it on; None: never, or it is at work."""
        state = self.state
        if state is None or not state.running or self.is_at_work():
            return None
        dues = [step.due_ms for step in state.steps.values() if step.phase == "waiting"]
        dues += [wait.due_ms for _, wait in state.journal_waits.items()]
        dues += [due_ms for wait in state.waits.values() for due_ms in (wait.due_ms, wait.remind_ms)]
        dues.append(state.deadline_ms)
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)

    def open_questions(self) -> Iterator[Asked]:
        """Whom it asks now: questions of blocks and of code inside steps, and steps in doubt."""
        state, view = self.state, self.view
        if state is None or view is None or not state.running:
            return
        for wait in view.questions:
            yield self._question(wait)
        for path, step in sorted(state.steps.items()):
            if step.phase == "in_doubt":
                yield self._doubt(path, step.dispatch)

    def _question(self, wait: WaitView) -> Asked:
        question = Question(
            kind="question",
            name=_name(wait.path),
            path=wait.path,
            text=wait.question,
            allow=wait.allow,
            shows={value.field: self._shown(value) for value in shown(wait, self.events)},
            assignee=wait.assignee,
        )
        return Asked(question, wait.number, wait.writes, wait.answer, self._last(wait.path).at_ms)

    def _doubt(self, path: str, dispatch: int) -> Asked:
        last, step = self._last(path), self.plan.steps[path].definition.name
        told = last.reason or (last.error.message if last.error is not None else "")
        question = Question(
            kind="doubt",
            name=step,
            path=path,
            text=f"did {path} have its effect? {told}",
            allow=DOUBT_VERBS,
            shows={},
        )
        return Asked(question, dispatch, None, None, last.at_ms)

    def _last(self, path: str) -> RunEvent:
        return next(event for event in reversed(self.events) if event.path == path)

    def _shown(self, value: FieldValue) -> Any:
        """A field as its author typed it; of an inner workflow, as plain JSON; never written: its default."""
        field = self.workflow.shape.fields.get(value.field)
        if is_absent(value):
            return None if field is None or field.default is None else field.default()
        return plain_result([value])[value.field] if field is None else decode_field(field, value)

    def waits_for(self) -> list[str]:
        """What it waits for, a sentence each."""
        state = self.state
        if state is None:
            return ["it was not accepted yet"]
        found = [f"step {path} is {step.phase}" for path, step in sorted(state.steps.items()) if step.is_open]
        for wait in self.view.waits.values() if self.view is not None else ():
            match wait.kind:
                case "human":
                    found.append(f"nobody answers {wait.path}: {wait.question}")
                case "signal":
                    found.append(f"{wait.path} waits for signal {wait.name!r}")
                case "sleep":
                    found.append(f"{wait.path} sleeps")
                case "limit":
                    found.append(f"{wait.path or 'the run'} waits for the limit {wait.name!r}")
                case _:
                    continue
        return found

    # What has become of it

    def fields(self) -> tuple[FieldValue, ...]:
        """What was written, as the run itself sees it."""
        if self.state is None:
            return ()
        found = (field_value(self.state, self.plan, name) for name in self.plan.fields)
        return tuple(value for value in found if value is not None and value.revision > 0)

    def attempts(self) -> dict[str, int]:
        """Executions by step path."""
        return {} if self.state is None else {path: step.attempt for path, step in self.state.steps.items()}

    def errors(self) -> list[StepErrorView]:
        """Failed attempts."""
        return [
            StepErrorView(event.path or "", event.attempt or 1, event.error.code, event.error.message)
            for event in self.events
            if event.kind == "step_failed" and event.error is not None
        ]

    def completed(self) -> list[str]:
        """Paths of completed steps, in order."""
        return [event.path or "" for event in self.events if event.kind == "step_succeeded"]


def _name(path: str) -> str:
    return static(path).rpartition("/")[2]
