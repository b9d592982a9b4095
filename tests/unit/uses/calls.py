"""A run whose code makes three calls side by side, each with limits and budgets, and the lines that they wait in."""

from collections import deque
from typing import Any

from tests.unit.budgets.budgeted import budgeted, journaled
from tests.unit.journals.scripts import Life, entry_sent, suspended
from tests.unit.runs.scripts import T0, flow_of, step_block, text

from logkeel.definitions import BudgetDefinition
from logkeel.records import AcquireLimit, CallLimit, JournalEntry, LimitAnswered, ReleaseLimit
from logkeel.runs.core.actions import AcquireSlot, DispatchStep, ReleaseSlot
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.budget_line import BudgetLine
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.limit_line import AskerName, Line, Served
from logkeel.runs.core.limiting import answered
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import Account

POSITIONS = ("0.0.0", "0.1.0", "0.2.0")
TOKENS = 100
MOST = 40
MODEL = CallLimit(kind="concurrency", name="model", limit=2)
CALLS = CallLimit(kind="rate", name="calls", limit=2, per_ms=5_000)


def plan_with(*budgets: BudgetDefinition) -> Plan:
    """One step, whose code has a journal."""
    return journaled(budgeted(flow_of(step_block("a")), budgets, {}), "a")


def asking(position: str, ordinal: int = 0, *, used: int | None = None, **needs: Any) -> JournalEntry:
    """The wait for what a try needs."""
    return JournalEntry(
        name="model",
        ordinal=ordinal,
        state="intent",
        position=f"{position}.s",
        at_ms=T0,
        waits_for="limit",
        used={} if used is None else {"tokens": used},
        **needs,
    )


def outcome(position: str, state: str = "done", *, used: int | None = None) -> JournalEntry:
    """The call has ended."""
    return JournalEntry(
        name="model",
        ordinal=0,
        state=state,  # type: ignore[arg-type]  # tests pass literals
        position=position,
        at_ms=T0,
        writes=(text("result", "x"),) if state == "done" else (),
        used={} if used is None else {"tokens": used},
    )


def account(life: Life) -> tuple[int, int]:
    """What is spent, and what is reserved beyond that."""
    found = life.state.head.accounts.get("tokens", Account())
    return found.spent, found.reserved


class Calls(Life):
    """The run with its lines. Words go to them, and come back from them, when `carry` says so, in their order."""

    def __init__(self, *budgets: BudgetDefinition) -> None:
        super().__init__(plan_with(*budgets))
        self.lines: dict[tuple[str, str, str], Line] = {}
        self.to_lines: deque[AcquireLimit | ReleaseLimit] = deque()
        self.to_run: deque[LimitAnswered] = deque()
        self.journal: dict[str, JournalEntry] = {}
        self.ended: list[tuple[str, int | None]] = []

    def say(self, entry: JournalEntry, *, dispatch: int | None = None) -> list[str]:
        """A worker's entry; the kinds of the events it leads to."""
        return self.hear(entry_sent(self.state, entry, dispatch=dispatch))

    def suspend(self) -> list[str]:
        """All code waits."""
        waits = (position for _, position in sorted(key for key, _ in self.state.journal_waits.items()))
        return self.hear(suspended(self.state, *waits))

    def hear(self, message: Any) -> list[str]:
        """Anything that workers say."""
        answer(self.next(), message)
        return self.over()

    def over(self) -> list[str]:
        """The turn is over: what others are told is on its way, and the history is the state."""
        go_on(self.turn)
        self._note(self.turn)
        return self.kept()

    def _note(self, turn: Activation) -> None:
        for action in turn.actions:
            match action:
                case AcquireSlot(path=path, number=number, use=use):
                    self.to_lines.append(
                        AcquireLimit(
                            kind=use.kind,
                            name=use.name,
                            key=use.key,
                            limit=use.limit,
                            per_ms=use.per_ms,
                            amount=use.amount,
                            or_fail=use.or_fail,
                            run_id="r",
                            incarnation=self.state.info.incarnation,
                            path=path,
                            number=number,
                            home_partition=0,
                        )
                    )
                case ReleaseSlot(path=path, number=number, use=use, used=used):
                    self.ended.append((use.name, used))
                    self.to_lines.append(
                        ReleaseLimit(
                            kind=use.kind,
                            name=use.name,
                            key=use.key,
                            run_id="r",
                            incarnation=self.state.info.incarnation,
                            path=path,
                            number=number,
                            used=used,
                        )
                    )
                case DispatchStep(journal=journal):
                    self.journal = {entry.position: entry for entry in journal}
                case _:
                    pass

    def line(self, word: AcquireLimit | ReleaseLimit) -> Line:
        """The line that a word is for."""
        fresh = BudgetLine() if word.kind == "budget" else Line()
        return self.lines.setdefault((word.kind, word.name, word.key), fresh)

    def carry(self, *, twice: bool = False) -> bool:
        """One word further: to its line, or from it; whether there was one."""
        if self.to_lines:
            word = self.to_lines.popleft()
            for _ in range(1 + twice):
                line = self.line(word)
                told = line.acquire if isinstance(word, AcquireLimit) else line.release
                self._answer(word, told(word, self.now_ms))  # type: ignore[arg-type]  # chosen by its type
            return True
        if self.to_run:
            message = self.to_run.popleft()
            for _ in range(1 + twice):
                held = answered(self.next(after_ms=0), message)
                if not held and message.error is None and message.kind != "rate":
                    self.to_lines.append(_given_back(message))
                self.over()
            return True
        return False

    def _answer(self, word: AcquireLimit | ReleaseLimit, served: list[Served]) -> None:
        for name, asker, error in served:
            self.to_run.append(_answer_to(word, name, asker.number, error))

    def tick(self) -> None:
        """Timers of the lines that are due by now."""
        for (kind, name, key), line in self.lines.items():
            if line.head.due_ms is not None and line.head.due_ms <= self.now_ms:
                like = ReleaseLimit(kind=kind, name=name, key=key, run_id="", incarnation="", path="", number=0)  # type: ignore[arg-type]  # as it came
                self._answer(like, line.on_timer(self.now_ms))

    def settle(self) -> None:
        """Carry all there is."""
        while self.carry():
            pass

    def kept(self) -> list[str]:
        """The turn is over: the claims of calls are what the journal says, and all is accounted for."""
        self.history += self.turn.events
        assert replay(self.history, self.plan) == self.state
        state = self.state
        slots = {f"{path}?{position}" for (path, position), _ in state.journal.items() if position.endswith(".s")}
        assert slots == {place for place in state.claims if "?" in place}
        assert state.head.claims == len(state.claims)
        if slots:
            assert state.steps["a"].phase in ("dispatched", "started", "suspended")
        reserved = sum(claim.uses.get("tokens", 0) for claim in state.claims.values() if claim.counts)
        assert account(self)[1] == reserved
        return [event.kind for event in self.turn.events]


def _answer_to(word: AcquireLimit | ReleaseLimit, name: AskerName, number: int, error: Any) -> LimitAnswered:
    return LimitAnswered(
        kind=word.kind,
        name=word.name,
        key=word.key,
        run_id=name.run_id,
        incarnation=name.incarnation,
        path=name.path,
        number=number,
        error=error,
    )


def _given_back(message: LimitAnswered) -> ReleaseLimit:
    return ReleaseLimit(
        kind=message.kind,
        name=message.name,
        key=message.key,
        run_id=message.run_id,
        incarnation=message.incarnation,
        path=message.path,
        number=message.number,
    )
