"""Laws over random flows of every kind of block, and random things that happen to their runs."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runs.flows import ADDED, VERDICTS, Flow, inner, plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import (
    Block,
    BranchBlock,
    Case,
    EachBlock,
    Handler,
    HumanBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SignalBlock,
    SleepBlock,
    WithinBlock,
)
from logkeel.records import Payload
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay

KINDS = ("fork", "branch", "loop", "rescue", "within", "sleep", "signal", "human", "sequence", "inline", "each")
ANSWER = Payload(encoding="json", data=b"1")
MOVES = (
    "succeed",
    "fail",
    "fail for good",
    "signal",
    "answer",
    "fire",
    "fire an old timer",
    "delegate",
    "pause",
    "resume",
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Flows of up to four levels. Steps share fields: what branches write is joined in their order."""
    numbers = iter(range(1_000))

    def block(depth: int, *, in_loop: bool) -> Block:
        number = next(numbers)
        kind = draw(st.sampled_from((*KINDS, "step", "step"))) if depth else "step"
        name = f"{kind}{number}"

        def inside(*, loop: bool = in_loop) -> Block:
            return block(depth - 1, in_loop=loop)

        match kind:
            case "sequence":
                leave = [LeaveBlock(id=f"leave{number}", field="verdict", value="yes")] if in_loop else []
                return flow_of(inside(), *leave, inside(), block_id=name)
            case "fork":
                branches = tuple(inside(loop=False) for _ in range(draw(st.integers(2, 3))))
                wait = draw(st.sampled_from(("all", "first", 2)))
                return ParallelBlock(id=name, branches=branches, wait=wait)  # type: ignore[arg-type]  # drawn
            case "branch":
                cases = tuple(
                    Case(value=value, block=inside()) for value in draw(st.sampled_from((VERDICTS, ("yes",))))
                )
                return BranchBlock(id=name, field="verdict", cases=cases)
            case "loop":
                policy = draw(st.sampled_from(("fail", "continue")))
                rounds = draw(st.integers(1, 3))
                return LoopBlock(id=name, body=inside(loop=True), max_rounds=rounds, on_exhausted=policy)  # type: ignore[arg-type]  # drawn
            case "rescue":
                on = draw(st.sampled_from(("*", "timeout", "boom")))
                return RescueBlock(id=name, body=inside(), handlers=(Handler(on=on, block=inside()),))
            case "within":
                late = {"on_timeout": inside()} if draw(st.booleans()) else {}
                return WithinBlock(id=name, timeout_ms=draw(st.integers(1, 5_000)), body=inside(), **late)
            case "sleep" | "signal" | "human":
                return _wait(draw, kind, name)
            case "each":
                return _each(draw, name, inside(loop=False))
            case "inline":
                return inner(name, inside(loop=False))
            case _:
                return step_block(name)

    return plan_with(flow_of(*(block(3, in_loop=False) for _ in range(draw(st.integers(1, 2))))))


def _each(draw: st.DrawFn, name: str, body: Block) -> EachBlock:
    value, collect = draw(st.sampled_from(((None, None), ("verdict", "results"), ("letter", "notes"))))
    return EachBlock(
        id=name,
        items="docs",
        body=body,
        item="doc",
        value=value,
        collect=collect,
        failed=draw(st.sampled_from((None, "failed"))),
        concurrency=draw(st.integers(1, 3)),
        max_failures=draw(st.sampled_from((None, 0, 1))),
        max_failures_percent=draw(st.sampled_from((None, 50.0))),
    )


def _wait(draw: st.DrawFn, kind: str, name: str) -> Block:
    if kind == "sleep":
        return SleepBlock(id=name, duration_ms=draw(st.integers(1, 5_000)))
    if kind == "human":
        return _question(draw, name)
    timeout_ms = draw(st.sampled_from((None, 3_000)))
    policy = draw(st.sampled_from(("fail", "continue")))
    return SignalBlock(id=name, name="go", writes="letter", timeout_ms=timeout_ms, on_timeout=policy)  # type: ignore[arg-type]  # drawn


def _question(draw: st.DrawFn, name: str) -> HumanBlock:
    return HumanBlock(
        id=name,
        question="?",
        writes="decision",
        allow=("approve", "reject", "edit"),
        answer="letter",
        timeout_ms=draw(st.sampled_from((None, 4_000))),
        remind_ms=draw(st.sampled_from((None, 1_500))),
        on_timeout=draw(st.sampled_from(("approve", "fail", "escalate"))),
        escalate_to="boss",
        then=draw(st.sampled_from(("reject", "fail"))),
    )


def happen(flow: Flow, move: str, data: st.DataObject) -> None:
    """One thing, to one of what it may happen to."""
    steps, questions = flow.open_steps, [path for path, w in flow.state.waits.items() if w.kind == "question"]
    known = data.draw(st.sampled_from(steps)) if steps else None
    if move == "signal":
        flow.signal("go")
    elif move in ("pause", "resume"):
        getattr(flow, move)()
    elif move in ("fire", "fire an old timer") and flow.timers:
        timer = min(flow.timers, key=lambda each: each[1])
        flow.fire(timer)
        if move == "fire an old timer":
            flow.check()
            flow.fire(timer)
    elif move in ("answer", "delegate") and questions:
        verb = "delegate" if move == "delegate" else data.draw(st.sampled_from(("approve", "edit")))
        flow.answer(data.draw(st.sampled_from(sorted(questions))), verb, payload=ANSWER, assignee="bob")
    elif known is not None and move == "succeed" and known not in flow.state.held:
        flow.succeed(
            known, writes=data.draw(st.sampled_from((ADDED, ()))), verdict=data.draw(st.sampled_from(VERDICTS))
        )
    elif known is not None and move in ("fail", "fail for good") and flow.state.steps[known].phase == "dispatched":
        flow.fail(known, "fatal" if move == "fail for good" else "retryable")


@settings(max_examples=400, deadline=None)
@given(plan=plans(), data=st.data())
def test_whatever_happens_the_history_is_the_state_and_no_timer_is_left_over(plan: Plan, data: st.DataObject) -> None:
    flow = Flow(plan)
    flow.check()
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=15)):
        if flow.state.running:
            happen(flow, move, data)
            flow.check()
    if data.draw(st.integers(0, 4)) == 0 and flow.state.running:
        flow.cancel()
        flow.check()


@settings(max_examples=200, deadline=None)
@given(plan=plans())
def test_left_alone_with_willing_workers_and_humans_every_run_ends(plan: Plan) -> None:
    flow = Flow(plan)
    for _ in range(3_000):
        if not flow.state.running:
            break
        questions = [path for path, wait in flow.state.waits.items() if wait.kind == "question"]
        if flow.open_steps:
            flow.succeed(flow.open_steps[0], writes=ADDED, verdict="no")
        elif questions:
            flow.answer(questions[0], "approve")
        elif any(wait.kind == "signal" for wait in flow.state.waits.values()):
            flow.signal("go")
        else:
            flow.fire_next()
    assert not flow.state.running
    flow.check()


@settings(max_examples=50, deadline=None)
@given(plan=plans(), data=st.data())
def test_every_revision_can_be_rebuilt(plan: Plan, data: st.DataObject) -> None:
    flow = Flow(plan)
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=8)):
        if flow.state.running:
            happen(flow, move, data)
    revision = data.draw(st.integers(1, len(flow.history)))
    assert replay(flow.history, plan, revision=revision).head.revision == revision
