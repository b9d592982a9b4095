"""Flows of every kind of block for tests of the run core, and one run of such a flow with the timers a shell keeps."""

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace
from tests.unit.runs.scripts import T0, failed, identity, text

from logkeel.definitions import (
    Block,
    FieldDefinition,
    InlineBlock,
    Mapped,
    RetryPolicy,
    StepDefinition,
    WorkflowDocument,
    WriteDefinition,
    inner_blocks,
)
from logkeel.records import (
    AnswerQuestion,
    CancelRun,
    ChildCompleted,
    ErrorInfo,
    FieldValue,
    FieldWrite,
    PauseRun,
    Payload,
    ResumeRun,
    RetryRun,
    RunEvent,
    SignalRun,
    StartRun,
    StepSucceeded,
)
from logkeel.runs.core import child_ends, pausing, questions, requests, retrying, waking
from logkeel.runs.core.actions import CancelChild, ClearTimer, CompleteRun, Reject, RevokeStep, SetTimer, StartChild
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.children import MAX_DESCENDANTS
from logkeel.runs.core.paths import is_under, without_element
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.replay import replay
from logkeel.runs.core.starting import info_of, start
from logkeel.runs.core.state import RETRYABLE, RunInfo, RunState, WaitState

Timer = tuple[str, int, str, int]
"""kind, due, path, number"""

VERDICTS = ("yes", "no")
ADDED = (
    replace(text("notes", "note"), operation="append"),
    FieldWrite(field="total", operation="add", is_control=True, control=1),
)
"""What a step adds, whatever branches beside it add."""

CONTROLS = ("verdict", "decision", "order")
HELLO = Payload(encoding="json", data=b'"hello"')
TOPIC = Mapped(inner="topic", outer="topic")
DOCS = Mapped(inner="docs", outer="docs")


def plan_with(flow: Block, *, returns: tuple[str, ...] = ()) -> Plan:
    """Every step `x` writes its field `x` and, if it is told to, the control fields `verdict` and `decision`."""
    names, fields = sorted(set(_steps(flow))), fields_of(flow)
    steps = tuple(
        StepDefinition(
            name=name,
            effect="IDEMPOTENT",
            reads=("topic", "verdict"),
            writes=(
                *(WriteDefinition(field=each) for each in (name, *CONTROLS)),
                WriteDefinition(field="notes", operation="append"),
                WriteDefinition(field="total", operation="add"),
            ),
            retry=RetryPolicy(max_attempts=2),
        )
        for name in names
    )
    document = WorkflowDocument(
        name="work", version="1", schema_version=1, fields=fields, steps=steps, flow=flow, returns=returns
    )
    return Plan(document, "digest")


def fields_of(flow: Block) -> tuple[FieldDefinition, ...]:
    """The state that such a flow needs."""
    return (
        FieldDefinition(name="topic", required=True),
        *(FieldDefinition(name=name, control_type="string", nullable=True) for name in CONTROLS),
        FieldDefinition(name="total", control_type="int", default=0, reducer="add"),
        FieldDefinition(name="letter"),
        FieldDefinition(name="docs", elements="list", reducer="append"),
        FieldDefinition(name="notes", elements="list", reducer="append"),
        FieldDefinition(name="results", elements="map", reducer="put"),
        FieldDefinition(name="failed", elements="map", reducer="put"),
        *(FieldDefinition(name=name) for name in sorted(set(_steps(flow)))),
    )


def inner(name: str, flow: Block, **details: object) -> InlineBlock:
    """That flow as a workflow of its own; what its field `letter` holds goes to the outer `letter`."""
    known: dict[str, object] = {"returns": "letter", "writes": "letter", "inputs": (TOPIC, DOCS)}
    return InlineBlock(
        id=name,
        workflow="inner",
        version="1",
        fields=fields_of(flow),
        flow=flow,
        **{**known, **details},  # type: ignore[arg-type]  # by keyword
    )


def _steps(block: Block) -> list[str]:
    own = [block.step] if hasattr(block, "step") else []
    return own + [name for inner in inner_blocks(block) for name in _steps(inner)]


def control(field: str, value: str) -> FieldWrite:
    """A write of a control field."""
    return FieldWrite(field=field, is_control=True, control=value)


def child_end(wait: WaitState, path: str, status: str = "succeeded", *, descendants: int = 0) -> ChildCompleted:
    """What the engine of that child would say."""
    succeeded = status == "succeeded"
    return ChildCompleted(
        run_id="r",
        incarnation="0-0-0",
        path=path,
        number=wait.number,
        child_run_id=wait.name,
        child_incarnation="1-1-1",
        status=status,  # type: ignore[arg-type]  # tests pass literals
        result=(FieldValue(field="letter", revision=3, payload=HELLO),) if succeeded else (),
        error=None if succeeded else ErrorInfo(code="boom", kind="fatal", message="it broke"),
        descendants=descendants,
    )


def in_failed(state: RunState, path: str) -> bool:
    """Whether this is kept in an element that has failed."""
    return any(is_under(path, element) for element in (*state.failed_elements, *state.again))


class Flow:
    """One run, its history, its timers, and what has been revoked."""

    def __init__(self, plan: Plan, docs: Sequence[str] = ("a", "b", "c")) -> None:
        listed = (replace(text("docs", each), operation="append") for each in docs)
        request = StartRun(workflow="work", run_id="r", inputs=(text("topic", "kafka"), *listed))
        info = info_of(request, plan, run_id="r", request_id="q", incarnation="0-0-0", now_ms=T0)
        self.plan, self.now_ms = plan, T0
        self.state = self.begin(info)
        self.history: list[RunEvent] = []
        self.timers: set[Timer] = set()
        self.revoked: list[str] = []
        self.completions = 0
        self.started: list[StartRun] = []
        self.given_up: list[str] = []
        self.former: list[ChildCompleted] = []
        self._turn(lambda turn: start(turn, request, request.inputs))

    @classmethod
    def of(cls, plan: Plan, turn: Activation) -> "Flow":
        """A run that this turn has begun."""
        flow = cls(plan)
        flow.state, flow.history, flow.now_ms = turn.state, [*turn.events], turn.now_ms
        flow.timers, flow.completions = set(), 0
        flow.started, flow.given_up, flow.former = [], [], []
        flow._carry_out(turn)
        return flow

    def keep(self) -> None:
        """The turn is over."""

    def begin(self, info: RunInfo) -> RunState:
        """A run without a history."""
        return RunState(info)

    def _turn(self, act: Callable[[Activation], None]) -> Activation:
        turn = Activation(self.state, self.plan, self.now_ms)
        act(turn)
        self.history += turn.events
        self._carry_out(turn)
        return turn

    def _carry_out(self, turn: Activation) -> None:
        self.keep()
        for action in turn.actions:
            match action:
                case SetTimer(kind=kind, due_ms=due_ms, path=path, dispatch=number):
                    self.timers.add((kind, due_ms, path, number))
                case ClearTimer(kind=kind, due_ms=due_ms, path=path, dispatch=number):
                    self.timers.discard((kind, due_ms, path, number))
                case RevokeStep(path=path):
                    self.revoked.append(path)
                case CompleteRun():
                    self.completions += 1
                case StartChild(request=asked):
                    self.started.append(asked)
                case CancelChild(run_id=child):
                    self.given_up.append(child)
                case _:
                    pass

    @property
    def open_steps(self) -> list[str]:
        """Paths of steps that have not ended."""
        return sorted(path for path, step in self.state.steps.items() if step.is_open)

    @property
    def waits(self) -> list[str]:
        """Paths of what waits."""
        return sorted(self.state.waits)

    @property
    def status(self) -> str:
        """Of the run."""
        return self.state.head.status

    @property
    def kinds(self) -> list[str]:
        """The history in short: kinds and paths."""
        return [f"{event.kind} {event.path}" if event.path else event.kind for event in self.history]

    def succeed(self, path: str, *, writes: tuple[FieldWrite, ...] = (), **controls: str) -> None:
        """The step returns."""
        step = self.state.steps[path]
        if step.phase == "waiting":
            self.fire_next()
        message = StepSucceeded(
            identity=identity(self.state, path),
            holder="w",
            started_at_ms=T0,
            finished_at_ms=T0,
            writes=(
                text(step.step, f"by {path}"),
                *(control(name, value) for name, value in controls.items()),
                *writes,
            ),
        )
        self._turn(lambda turn: answer(turn, message))

    def fail(self, path: str, kind: str = "fatal") -> None:
        """The step raises."""
        self._turn(lambda turn: answer(turn, failed(self.state, path, kind)))

    def signal(self, name: str, correlation: str | None = None, payload: Payload = HELLO) -> None:
        """A signal comes."""
        request = SignalRun(run_id="r", name=name, correlation=correlation, payload=payload)
        self._turn(lambda turn: requests.signal(turn, request, "q"))

    def answer(self, path: str, verb: str, **details: object) -> Reject | None:
        """A human answers; what came back."""
        request = AnswerQuestion(run_id="r", path=path, verb=verb, **details)  # type: ignore[arg-type]  # by keyword
        turn = self._turn(lambda turn: questions.answer(turn, request, "q"))
        return next((action for action in turn.actions if isinstance(action, Reject)), None)

    def end_child(self, path: str, status: str = "succeeded", *, descendants: int = 0) -> ChildCompleted:
        """The child that is awaited there ends; its field `letter` says hello."""
        message = child_end(self.state.waits[path], path, status, descendants=descendants)
        self.hear(message)
        self.former.append(message)
        return message

    def hear(self, message: ChildCompleted) -> None:
        """Word of a child comes."""
        self._turn(lambda turn: child_ends.ended(turn, message))

    def pause(self) -> None:
        """The run is paused."""
        self._turn(lambda turn: pausing.pause(turn, PauseRun(run_id="r"), "q"))

    def resume(self) -> None:
        """The run is resumed."""
        self._turn(lambda turn: pausing.resume(turn, ResumeRun(run_id="r"), "q"))

    def cancel(self) -> None:
        """The run is cancelled."""
        self._turn(lambda turn: requests.cancel(turn, CancelRun(run_id="r"), "q"))

    def retry(self) -> Reject | None:
        """The run is retried; what came back."""
        turn = self._turn(lambda turn: retrying.retry(turn, RetryRun(run_id="r"), "q"))
        return next((action for action in turn.actions if isinstance(action, Reject)), None)

    def fire(self, timer: Timer) -> None:
        """A timer fires at its time or now, whichever is later; it may be one that was cleared."""
        kind, due_ms, path, number = timer
        self.now_ms = max(self.now_ms, due_ms)
        self.timers.discard(timer)
        wake = {"step": waking.step_due, "block": waking.wait_due, "reminder": questions.remind}[kind]
        self._turn(lambda turn: wake(turn, path, number))

    def fire_next(self) -> Timer:
        """The first timer fires."""
        timer = min(self.timers, key=lambda each: each[1])
        self.fire(timer)
        return timer

    def value(self, field: str) -> object:
        """What the root scope has."""
        pointer = self.state.fields.get(("", field))
        return None if pointer is None else pointer.control if pointer.is_control else pointer.payload

    def check(self) -> None:
        """History is state; what waits has its timers, and nothing else has one; counts are right."""
        assert replay(self.history, self.plan) == self.state
        state = self.state
        waits = {("block", w.due_ms, p, w.number) for p, w in state.waits.items() if w.due_ms is not None}
        waits |= {("reminder", w.remind_ms, p, w.number) for p, w in state.waits.items() if w.remind_ms is not None}
        waiting = {p: s for p, s in state.steps.items() if s.phase == "waiting" and p not in state.held}
        steps = {("step", s.due_ms, p, s.dispatch) for p, s in waiting.items()}
        assert self.timers == waits | steps
        assert state.head.open_waits == len(state.waits)
        assert state.head.held_steps == len(state.held)
        assert not state.held or state.head.paused_at_ms is not None
        assert state.head.open_steps == len(self.open_steps)
        assert self.completions == state.head.retries + (not state.running)
        assert all(in_failed(state, path) for path in state.cut) or state.head.status in RETRYABLE
        assert state.head.failed_elements == len(state.failed_elements) + len(state.again)
        self._check_elements()
        open_children = {wait.name for wait in state.waits.values() if wait.kind == "child"}
        if not state.head.retries:
            assert not open_children & set(self.given_up), "whoever is cancelled is not awaited"
        assert open_children <= {request.run_id for request in self.started}
        new = [request.run_id for request in self.started if request.parent is not None and not request.parent.again]
        assert len({request.request_id for request in self.started}) == len(self.started)
        refused = sum("refused" in event.attributes for event in self.history)
        assert len(new) - len(set(new)) <= refused, "a child that has begun is told to go on"
        assert state.head.descendants <= MAX_DESCENDANTS
        if state.running:
            assert state.waits or self.open_steps or state.held, "a run that neither works nor waits is stuck"
        else:
            assert not state.waits
            assert not state.held
            assert not self.open_steps
            if self.status == "succeeded":
                assert all(in_failed(state, path) for path in (*state.forks, *state.eaches))
                assert all(not scope or in_failed(state, scope) for scope, _ in state.fields)

    def _check_elements(self) -> None:
        """Counters are those of the elements that are open, and every row of a field belongs to a pointer."""
        state = self.state
        opened = Counter(without_element(path) for path in state.items)
        assert {path: each.open for path, each in state.eaches.items() if each.open} == opened
        again = Counter(without_element(path) for path in state.again)
        assert {path: each.again for path, each in state.eaches.items() if each.again} == again
        assert all(each.open <= self.plan.eaches[path].block.concurrency for path, each in state.eaches.items())
        pointed = {(name, pointer.generation) for (_, name), pointer in state.fields.items()}
        assert state.head.stale == len(state.stale)
        assert {(name, generation) for name, generation, _ in state.elements} <= pointed | set(state.stale)
        keyed = {(name, generation, row.key, at) for (name, generation, at), row in state.elements.items() if row.key}
        assert {(*key, at) for key, at in state.positions.items()} == keyed

    def elements(self, field: str) -> list[tuple[str | None, str]]:
        """What the root scope has of a field that is kept element by element."""
        value = field_value(self.state, self.plan, field)
        known = () if value is None else value.elements
        return [(each.key, (each.payload.data or b"").decode()) for each in known]
