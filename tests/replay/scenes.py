"""What the recorded histories are of: agents played whole in memory, simulated worlds, and runs of the core."""

from collections.abc import Callable, Mapping
from typing import Any

from examples.agents.classic import research as classic
from examples.agents.deep_research import research as deep_research
from examples.agents.metered import answers
from examples.agents.react import agent as react
from examples.agents.supervisor import team
from examples.agents.support_chat import support
from examples.payment.shop import purchase
from tests.replay import simulated
from tests.replay.telling import told
from tests.unit.runs.flows import Flow, plan_with
from tests.unit.runs.scripts import flow_of, plan_of, step_block, text
from tests.unit.runs.test_core_laws import World
from tests.unit.runs.test_forking import begun
from tests.unit.testing.shops import shop

from logkeel.cli.recordings import Recording
from logkeel.definitions import (
    EachBlock,
    Handler,
    HumanBlock,
    ParallelBlock,
    RescueBlock,
    RetryPolicy,
    SignalBlock,
    SleepBlock,
    WithinBlock,
    encode_document,
)
from logkeel.payloads import PLAIN
from logkeel.projection import HistoryReader
from logkeel.records import AnswerQuestion, CancelRun, PauseRun, Request, ResumeRun, RunEvent
from logkeel.runs.core.plan import Plan
from logkeel.testing.crashes import Outside
from logkeel.testing.memory import MemoryApplication
from logkeel.testing.try_out import start_request
from logkeel.workflow import Workflow

HOUR_MS = 3_600_000

a, b, c, d = (step_block(name) for name in "abcd")

Scene = Callable[[], dict[str, Recording]]
"""The histories of a scene, by what they are called behind the scene's name; "" for the one that matters."""


class Played:
    """An application in memory with somebody around it who asks and answers."""

    def __init__(self, workflow: "Workflow[Any]", resources: Mapping[Any, Any] | None = None) -> None:
        self.workflow = workflow
        self.application = MemoryApplication([workflow], resources=resources)

    def start(self, run_id: str = "r", **inputs: Any) -> None:
        """Ask for a run."""
        request = start_request(self.workflow, inputs, run_id)
        self.send(request, request.conversation_id or run_id)

    def send(self, request: Request, key: str = "r") -> None:
        """Put it on the log."""
        self.application.send(request, key=key)

    def until(self, kind: str, run_id: str = "r", *, times: int = 1) -> RunEvent:
        """Until this has happened in the run so often; the last event of it."""

        def found() -> list[RunEvent]:
            return [event for event in self.application.history(run_id) if event.kind == kind]

        assert self.application.run_until(lambda: len(found()) >= times), f"no {kind} in {run_id}"
        return found()[-1]

    def answer(self, verb: str, **details: Any) -> None:
        """Answer the question that is asked last."""
        path = [event for event in self.application.history("r") if event.kind == "question_asked"][-1].path or ""
        self.send(AnswerQuestion(run_id="r", path=path, verb=verb, answered_by="ada", **details))

    def recordings(self) -> dict[str, Recording]:
        """Of every run that has been here, by its id."""
        reader = HistoryReader(self.application.client, self.application.names)
        try:
            runs = reader.catch_up()
            document = encode_document(self.workflow.document())
            return {
                view.run_id: Recording(document, tuple(told(event) for event in runs.history(view.run_id)))
                for view in runs.runs()
            }
        finally:
            reader.close()
            self.application.close()


def research() -> dict[str, Recording]:
    """Searches at once, a loop that ends on a verdict, a human who hands it on and one who answers, in a pause."""
    played = Played(classic)
    played.start(query="kafka")
    played.until("question_asked")
    played.answer("delegate", assignee="bob", comment="not mine")
    played.until("question_reassigned")
    played.send(PauseRun(run_id="r", reason="an outage", requested_by="ops"))
    played.until("run_paused")
    played.answer("approve", comment="well done")
    played.until("step_held")
    played.send(ResumeRun(run_id="r", requested_by="ops"))
    played.until("run_completed")
    return {"": played.recordings()["r"]}


def agent() -> dict[str, Recording]:
    """Durable code: calls at once, a question for which it is suspended, an answer that changes what it does."""
    played = Played(react)
    played.start(question="what is a log?")
    played.until("question_asked")
    played.until("step_suspended")
    payload = PLAIN.wrap_writes(classic.encode_input({"query": "shorter"}), "an answer")[0].payload
    played.answer("edit", payload=payload)
    played.until("run_completed")
    return {"": played.recordings()["r"]}


def family() -> dict[str, Recording]:
    """Runs that start others for each part of a question, down to where no more are allowed and a rescue helps."""
    played = Played(deep_research)
    played.start(question="logs")
    played.until("run_completed")
    runs = played.recordings()
    (child, *_) = (event.name or "" for event in runs["r"].events if event.kind == "child_started")
    (grandchild, *_) = (event.name or "" for event in runs[child].events if event.kind == "child_started")
    return {"": runs["r"], "child": runs[child], "grandchild": runs[grandchild]}


def saga() -> dict[str, Recording]:
    """A purchase that cannot be shipped: its charge is refunded, and the run fails."""
    played = Played(purchase, shop(in_stock=False)(Outside()))
    played.start(order="o-1", amount=12)
    played.until("run_completed")
    return {"": played.recordings()["r"]}


def conversation() -> dict[str, Recording]:
    """Three turns of a customer, the second one cancelled before it has answered or right behind it."""
    played = Played(support)
    for number in (1, 2, 3):
        played.start(f"t{number}", customer="ann", message=f"message {number}")
        if number == 2:
            played.send(CancelRun(run_id="t2", request_id="c", routing_key="ann"), "ann")
        played.until("run_completed", f"t{number}")
    return {f"{number}": run for number, run in enumerate(reversed(played.recordings().values()), 1)}


def inner() -> dict[str, Recording]:
    """Workflows inside of one, in a loop."""
    played = Played(team)
    played.start(goal="a note")
    played.until("run_completed")
    return {"": played.recordings()["r"]}


def limits() -> dict[str, Recording]:
    """More runs of a tenant than may be at once."""
    played = Played(answers)
    for number in range(5):
        played.start("r" if number == 4 else f"r{number}", tenant="acme", model="large", question=f"q{number}")
    for number in range(4):
        played.until("run_completed", f"r{number}")
    played.until("run_completed")
    return {"": played.recordings()["r"]}


# Runs of the core, where the test plays workers and time


def races_and_rescues() -> dict[str, Recording]:
    """A limit that is over, a rescue, signals, a race, elements of which one fails, a fork of four that needs two."""
    body = WithinBlock(
        id="hour", timeout_ms=HOUR_MS, body=flow_of(a, SignalBlock(id="paid", name="paid", writes="letter"))
    )
    flow = Flow(
        plan_with(
            flow_of(
                RescueBlock(id="rescue", body=body, handlers=(Handler(on="timeout", block=b),)),
                ParallelBlock(id="race", wait="first", branches=(c, SleepBlock(id="nap", duration_ms=24 * HOUR_MS))),
                SignalBlock(id="go", name="go", correlate="order", timeout_ms=HOUR_MS, on_timeout="continue"),
                EachBlock(id="docs", items="docs", item="doc", body=d, concurrency=2, failed="failed", max_failures=1),
            )
        )
    )
    flow.succeed("rescue/hour/a", order="4711")
    flow.fire_next()
    flow.signal("go", "4712")
    flow.succeed("rescue/b")
    flow.signal("go", "4711")
    flow.succeed("race/c")
    flow.fail("docs[0]/d")
    flow.succeed("docs[1]/d")
    flow.fail("docs[2]/d", "retryable")
    flow.fire_next()
    flow.succeed("docs[2]/d")
    assert flow.status == "succeeded"
    return {"": _of(flow.plan, flow.history)}


def retry() -> dict[str, Recording]:
    """A run that failed twice, once at a step beside what its end has cut off, once at a question."""
    question = HumanBlock(id="ok", question="?", writes="decision", timeout_ms=HOUR_MS, on_timeout="fail")
    nap = SleepBlock(id="nap", duration_ms=2 * HOUR_MS)
    limit = WithinBlock(id="day", timeout_ms=24 * HOUR_MS, body=flow_of(d))
    flow = Flow(plan_with(flow_of(a, ParallelBlock(id="all", branches=(b, c, nap, limit)), question)))
    flow.succeed("a")
    flow.fail("all/b")
    flow.now_ms += HOUR_MS
    flow.retry()
    for path in ("all/b", "all/c", "all/day/d"):
        flow.succeed(path)
    flow.fire_next()
    flow.fire_next()
    assert flow.status == "failed"
    flow.retry()
    flow.answer("ok", "approve")
    assert (flow.status, flow.state.head.retries) == ("succeeded", 2)
    return {"": _of(flow.plan, flow.history)}


def fork() -> dict[str, Recording]:
    """A run from the history of one that waited, with another input."""
    flow = Flow(plan_with(flow_of(ParallelBlock(id="all", branches=(a, b)), c)))
    flow.succeed("all/a")
    fork = Flow.of(flow.plan, begun(flow.history, flow.plan, edits=(text("topic", "rabbits"),)))
    return {"": _of(flow.plan, fork.history)}


def lost_workers() -> dict[str, Recording]:
    """Reclaims, leases, doubts, checks, late words and a human's decisions, for three effects."""
    effects: dict[str, Any] = {"a": "KEYED", "b": "CHECKED", "c": "ONCE"}
    world = World(plan_of(flow_of(a, b, c), effects=effects, retry=RetryPolicy(max_attempts=3)))
    for path, moves in {
        "a": ("beat", "ask", "lease over", "refuse", "due", "fail", "due", "release", "release started", "succeed"),
        "b": ("beat", "ask, dead", "due", "fail", "due", "aged", "forgotten", "due", "succeed"),
        "c": ("beat", "release started", "retry", "doubt", "did"),
    }.items():
        for move in moves:
            world.move(move, path, stale=False)
        world.move("succeed", path, stale=True)
    assert world.state.head.status == "succeeded"
    return {"": _of(world.plan, world.history)}


def _of(plan: Plan, history: list[RunEvent]) -> Recording:
    return Recording(encode_document(plan.document), tuple(history))


SCENES: dict[str, Scene] = {
    each.__name__: each
    for each in (
        research,
        agent,
        family,
        saga,
        conversation,
        inner,
        limits,
        races_and_rescues,
        retry,
        fork,
        lost_workers,
        simulated.caller,
        simulated.testator,
        simulated.elder,
    )
}
