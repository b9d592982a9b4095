"""Makes the blocks of a definition of what waits: signals and humans, and the durations of all blocks. Pure.

What is wrong is collected, never raised; what cannot be used is replaced, so that the checks behind can go on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from logkeel.definitions import HumanBlock, SignalBlock, Verb
from logkeel.workflow.blocks import Asking, Human, WaitSignal
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField

Policy = Literal["approve", "reject", "fail", "escalate"]
_TEXTS = ("question", "answer", "assignee", "notify", "escalate_to")


@dataclass(frozen=True, slots=True)
class Waits:
    """Translation of blocks at one place; `problems` is filled."""

    fields: Mapping[str, StateField]
    problems: list[Problem]
    place: str

    def signal(self, block: WaitSignal, identity: str) -> SignalBlock:
        """A wait for a signal."""
        policy = self.one_of("on_timeout", block.on_timeout, ("fail", "continue"))
        if policy == "continue" and block.timeout is None:
            remedy = 'give it a timeout, or leave on_timeout="continue" out'
            self._problem("wait_signal goes on without the signal, but never stops to wait", remedy)
        return SignalBlock(
            id=identity,
            name=block.signal,
            writes=block.writes,
            correlate=block.correlate,
            timeout_ms=self._optional_duration(block.timeout),
            on_timeout=policy,
        )

    def human(self, block: Human, identity: str) -> HumanBlock:
        """A question."""
        self._check_options(block)
        how: Mapping[str, Any] = block.how
        texts = {name: how[name] for name in _TEXTS if isinstance(how.get(name), str)}
        return HumanBlock(
            id=identity,
            question=texts.get("question", block.name),
            writes=block.writes,
            allow=self._verbs(block.name, self._several("allow", how.get("allow", ("approve", "reject")))),
            answer=texts.get("answer"),
            answer_schema=self._schema(texts.get("answer")),
            shows=tuple(self._several("shows", how.get("shows", ()))),
            assignee=texts.get("assignee"),
            notify=texts.get("notify"),
            timeout_ms=self._optional_duration(how.get("timeout")),
            remind_ms=self._optional_duration(how.get("remind")),
            on_timeout=self.one_of("on_timeout", how.get("on_timeout", "fail"), get_args(Policy)),
            escalate_to=texts.get("escalate_to"),
            then=self.one_of("then", how.get("then", "fail"), ("approve", "reject", "fail")),
        )

    def duration(self, duration: Duration) -> int:
        """In milliseconds, at least 1."""
        try:
            found = to_milliseconds(duration)
        except ValueError as error:
            self._problem(str(error), 'write a duration, e.g. "10m"')
            return 1
        if found < 1:
            self._problem(f"{duration!r} is no time at all", "give it a duration above zero")
        return max(found, 1)

    def one_of(self, name: str, value: object, known: tuple[str, ...]) -> Any:
        """`value`, if it is known; else the first that is."""
        if value not in known:
            self._problem(f"{name}={value!r} is unknown", f"use one of {', '.join(map(repr, known))}")
            return known[0]
        return value

    def _check_options(self, block: Human) -> None:
        """What is said without a type checker may be anything."""
        given: Mapping[str, object] = dict(block.how)
        unknown = sorted(given.keys() - Asking.__annotations__.keys())
        if unknown:
            what = f"human({block.name!r}) knows no {', '.join(unknown)}"
            self._problem(what, f"use {', '.join(Asking.__annotations__)}")
        if "timeout" not in given:
            remedy = 'say timeout="48h" and what on_timeout does, or timeout=None to wait for ever'
            self._problem(f"human({block.name!r}) does not say how long it waits", remedy)
        for name in _TEXTS:
            if not isinstance(given.get(name), str | None):
                self._problem(f"{name}={given[name]!r} of human({block.name!r}) is no text", f'write {name}="…"')

    def _several(self, name: str, given: Sequence[str]) -> Sequence[str]:
        """One text is a sequence of its letters, which nobody means."""
        if isinstance(given, list | tuple) and all(isinstance(each, str) for each in given):
            return given
        example = f"[{given!r}]" if isinstance(given, str) else '["…"]'
        self._problem(f"{name}={given!r} is no list of names", f"write {name}={example}")
        return (given,) if isinstance(given, str) else ()

    def _verbs(self, name: str, given: Sequence[str]) -> tuple[Verb, ...]:
        for verb in _repeated(given):
            self._problem(f"human({name!r}) allows {verb!r} twice", "name each verb once")
        return tuple(self.one_of("allow", verb, get_args(Verb)) for verb in dict.fromkeys(given))

    def _schema(self, name: str | None) -> str | None:
        if name is None or name not in self.fields:
            return None
        schema = self.fields[name].adapter.json_schema()
        return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _optional_duration(self, duration: Duration | None) -> int | None:
        return None if duration is None else self.duration(duration)

    def _problem(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(what, self.place, remedy))


def _repeated(given: Sequence[str]) -> Iterator[str]:
    return (verb for verb in dict.fromkeys(given) if given.count(verb) > 1)
