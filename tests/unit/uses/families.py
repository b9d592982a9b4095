"""A tree of runs with one budget at its root, and the words between them, carried by hand (P29)."""

from collections import deque
from typing import Any

from tests.unit.budgets.budgeted import budgeted, journaled
from tests.unit.runs.flows import TOPIC
from tests.unit.runs.scripts import T0, text

from logkeel.definitions import Block, BudgetDefinition, ChildBlock
from logkeel.records import CancelRun, ChildCompleted, RunEvent, StartRun
from logkeel.records.topics import TopicNames
from logkeel.runs.core import child_ends, requests
from logkeel.runs.core.actions import CancelChild, CompleteRun, StartChild
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.starting import info_of, start
from logkeel.runs.core.state import Account, RunState
from logkeel.runs.processor.child_records import ended_output
from logkeel.wire import decode_as

NAMES = TopicNames("logkeel")
MOST = 40
USES = {"a": {"tokens": MOST}, "b": {"tokens": MOST}, "c": {"tokens": MOST}}


def kid(name: str = "kid", workflow: str = "leaf", **how: Any) -> ChildBlock:
    """A child run."""
    return ChildBlock(id=name, workflow=workflow, version="1", inputs=(TOPIC,), **how)


def plan_of(flow: Block, *budgets: BudgetDefinition, durable: str | None = None) -> Plan:
    """A workflow whose steps use up to `MOST` tokens each."""
    plan = budgeted(flow, budgets, USES, returns=("topic",))
    return plan if durable is None else journaled(plan, durable)


class One:
    """One run of a tree."""

    def __init__(self, family: "Family", request: StartRun, plan: Plan) -> None:
        self.family, self.plan, self.run_id = family, plan, request.run_id or ""
        info = info_of(
            request, plan, run_id=self.run_id, request_id=self.run_id, incarnation="0-0-0", now_ms=family.now_ms
        )
        self.turn = Activation(RunState(info), plan, family.now_ms)
        self.history: list[RunEvent] = []
        start(self.turn, request, request.inputs)
        self.over()

    @property
    def state(self) -> RunState:
        """As it is."""
        return self.turn.state

    def next(self) -> Activation:
        """A turn."""
        self.family.now_ms += 1_000
        self.turn = Activation(self.state, self.plan, self.family.now_ms)
        return self.turn

    def over(self) -> list[str]:
        """The turn is over; the kinds of its events."""
        go_on(self.turn)
        self.history += self.turn.events
        for action in self.turn.actions:
            match action:
                case StartChild(request=request):
                    self.family.words.append(request)
                case CancelChild(run_id=run_id):
                    self.family.words.append(run_id)
                case CompleteRun():
                    output = ended_output(self.state, (), NAMES)
                    if output is not None:
                        self.family.words.append(decode_as(output.value or b"", ChildCompleted))
                case _:
                    pass
        assert replay(self.history, self.plan) == self.state
        return [event.kind for event in self.turn.events]

    def account(self) -> tuple[int, int]:
        """What is spent, and what is reserved beyond that."""
        found = self.state.head.accounts.get("tokens", Account())
        return found.spent, found.reserved

    def limit(self) -> int | None:
        """What its parent lets it use."""
        return next((each.limit for each in self.state.info.allowances if each.unit == "tokens"), None)


class Family:
    """Runs by their ids, and words that are on their way."""

    def __init__(self, root: Plan, plans: dict[str, Plan]) -> None:
        self.plans, self.now_ms = plans, T0
        self.words: deque[StartRun | ChildCompleted | str] = deque()
        self.runs: dict[str, One] = {}
        self.runs["r"] = One(self, StartRun(workflow="work", run_id="r", inputs=(text("topic", "kafka"),)), root)

    @property
    def root(self) -> One:
        """The run with the budget."""
        return self.runs["r"]

    def carry(self, *, twice: bool = False) -> bool:
        """One word comes where it goes to; whether there was one."""
        if not self.words:
            return False
        word = self.words.popleft()
        for _ in range(1 + twice):
            self._hear(word)
        return True

    def settle(self) -> None:
        """All words come."""
        while self.carry():
            pass

    def kids(self) -> list[One]:
        """All but the root, in the order of their beginning."""
        return [one for one in self.runs.values() if one is not self.root]

    def _hear(self, word: StartRun | ChildCompleted | str) -> None:
        match word:
            case StartRun(run_id=run_id, workflow=workflow):
                if run_id not in self.runs:
                    self.runs[run_id or ""] = One(self, word, self.plans[workflow])
            case ChildCompleted():
                one = self.runs[word.run_id]
                child_ends.ended(one.next(), word)
                one.over()
            case _:
                if word in self.runs:
                    one = self.runs[word]
                    requests.cancel(one.next(), CancelRun(run_id=word), "q")
                    one.over()
