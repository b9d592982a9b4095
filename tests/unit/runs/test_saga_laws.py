"""Laws over random flows with sagas in forks, loops, rescues and limits, and random things that happen to runs."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runs.flows import VERDICTS
from tests.unit.runs.sagas import SagaFlow, saga_of
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import (
    Block,
    EachBlock,
    Handler,
    HumanBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SleepBlock,
    StepBlock,
    WithinBlock,
    all_blocks,
)
from logkeel.runs.core.sagas import is_undone, needs_undo

KINDS = ("saga", "saga", "fork", "loop", "rescue", "within", "each", "sleep", "human", "sequence")
MOVES = ("succeed", "succeed", "fail", "fail for good", "fail for sure", "lose", "reclaim", "fire", "answer", "decide")
LAST_MOVES = ("nothing", "cancel", "time is over", "fail for good")


@st.composite
def flows(draw: st.DrawFn) -> Block:
    """Up to four levels. In loops, leaves stand beside sagas, never in them."""
    numbers = iter(range(1_000))

    def block(depth: int) -> Block:
        number = next(numbers)
        kind = draw(st.sampled_from((*KINDS, "step", "step"))) if depth else "step"
        name = f"{kind}{number}"
        match kind:
            case "saga":
                return saga_of(flow_of(block(depth - 1), block(depth - 1), block_id=f"body{number}"), block_id=name)
            case "fork":
                branches = tuple(block(depth - 1) for _ in range(draw(st.integers(2, 3))))
                wait = draw(st.sampled_from(("all", "all", "first", 2)))
                return ParallelBlock(id=name, branches=branches, wait=wait)  # type: ignore[arg-type]  # drawn
            case "loop":
                leave = LeaveBlock(id="leave", field="verdict", value="yes")
                body = flow_of(block(depth - 1), leave, block_id=f"body{number}")
                return LoopBlock(id=name, body=body, max_rounds=2, on_exhausted="continue")
            case "rescue":
                on = draw(st.sampled_from(("*", "boom")))
                return RescueBlock(id=name, body=block(depth - 1), handlers=(Handler(on=on, block=block(depth - 1)),))
            case "within":
                late = {"on_timeout": block(depth - 1)} if draw(st.booleans()) else {}
                return WithinBlock(id=name, timeout_ms=draw(st.integers(1, 5_000)), body=block(depth - 1), **late)
            case "each":
                return EachBlock(id=name, items="docs", item="doc", body=block(depth - 1), concurrency=2)
            case "sleep":
                return SleepBlock(id=name, duration_ms=draw(st.integers(1, 5_000)))
            case "human":
                return HumanBlock(id=name, question="?", writes="decision", timeout_ms=4_000, on_timeout="approve")
            case "sequence":
                return flow_of(block(depth - 1), block(depth - 1), block_id=name)
            case _:
                return step_block(name)

    return flow_of(saga_of(block(2), block_id="first") if draw(st.booleans()) else block(3), block(3))


def runs(flow: Block, data: st.DataObject) -> SagaFlow:
    """A run of it; some steps may never be repeated blindly."""
    names = sorted({block.step for block in all_blocks(flow) if isinstance(block, StepBlock)})
    once = [name for name in names if data.draw(st.integers(0, 3)) == 0]
    return SagaFlow(flow, effects=dict.fromkeys(once, "ONCE"))


def happen(run: SagaFlow, move: str, data: st.DataObject) -> None:
    """One thing, to one of what it may happen to."""
    out = [path for path in run.open_steps if run.phase(path) in ("dispatched", "started")]
    path = data.draw(st.sampled_from(out)) if out else None
    doubts = [path for path in run.open_steps if run.phase(path) == "in_doubt"]
    questions = [path for path, wait in run.state.waits.items() if wait.kind == "question"]
    if move == "fire" and run.timers:
        run.fire_next()
    elif move == "answer" and questions:
        run.answer(min(questions), "approve")
    elif move == "decide" and doubts:
        run.resolve(doubts[0], data.draw(st.sampled_from(("did", "did_not"))))
    elif path is not None:
        act(run, move, path, data)


def act(run: SagaFlow, move: str, path: str, data: st.DataObject) -> None:
    """A step that is at work says something, or nothing."""
    match move:
        case "succeed" if path.endswith("/undo"):
            run.undo_at(path)
        case "succeed":
            run.succeed(path, verdict=data.draw(st.sampled_from(VERDICTS)))
        case "fail" | "fail for good" | "fail for sure":
            run.fail(path, {"fail": "retryable", "fail for good": "fatal"}.get(move, "not_done"))
        case "lose":
            run.lose(path)
        case "reclaim":
            run.reclaim(path)
        case _:
            pass


def settle(run: SagaFlow) -> None:
    """Willing workers and humans do the rest."""
    for _ in range(2_000):
        if not run.state.running:
            return
        out = [path for path in run.open_steps if run.phase(path) in ("dispatched", "started")]
        doubts = [path for path in run.open_steps if run.phase(path) == "in_doubt"]
        questions = [path for path, wait in run.state.waits.items() if wait.kind == "question"]
        if out and out[0].endswith("/undo"):
            run.undo_at(out[0])
        elif out:
            run.succeed(out[0], verdict="no")
        elif doubts:
            run.resolve(doubts[0], "did")
        elif questions:
            run.answer(questions[0], "approve")
        else:
            run.fire_next()
    raise AssertionError("the run does not end")


def judge(run: SagaFlow) -> None:
    """Undone is what was done in a saga that was not left well, once; the newest first among the steps of one saga."""
    run.check()
    succeeded = {event.path for event in run.history if event.kind == "block_left"}
    for path, step in run.state.steps.items():
        if path.endswith("/undo") or not around(path):
            continue
        wanted = needs_undo(step, run.plan, path) and not succeeded.issuperset(around(path))
        assert is_undone(run.state, path) == wanted, f"{path} is {'not ' if wanted else ''}undone"
    assert len(run.undone) == len(set(run.undone))
    mine: dict[str, list[int]] = {}
    for path in run.undone:
        undone = path.removesuffix("/undo")
        mine.setdefault(around(undone)[-1], []).append(run.state.steps[undone].ended_revision)
    assert all(revisions == sorted(revisions, reverse=True) for revisions in mine.values()), run.undone


def around(path: str) -> list[str]:
    """The sagas around a path, the outermost first."""
    parts = path.split("/")
    known = ["/".join(parts[: number + 1]) for number, part in enumerate(parts) if part.startswith(("saga", "first"))]
    return [saga for saga in known if saga != path]


@settings(max_examples=500, deadline=None)
@given(flow=flows(), data=st.data())
def test_whatever_happens_what_was_done_in_a_failed_saga_is_undone_once(flow: Block, data: st.DataObject) -> None:
    run = runs(flow, data)
    run.check()
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=14)):
        if run.state.running:
            happen(run, move, data)
            run.check()
    last = data.draw(st.sampled_from(LAST_MOVES))
    if run.state.running and last == "cancel":
        run.cancel()
    elif run.state.running and last == "time is over":
        run.time_is_over()
    elif run.state.running:
        happen(run, last, data)
    run.check()
    settle(run)
    judge(run)
