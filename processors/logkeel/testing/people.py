"""Fake humans and senders: which request follows from what a run asks, or from its age. Decides; sends nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from logkeel.client.building import payload_of
from logkeel.payloads import PLAIN
from logkeel.records import AnswerQuestion, CancelRun, FieldWrite, Payload, Request, ResolveStep, SignalRun
from logkeel.runs.core.paths import static
from logkeel.testing.watching import Asked
from logkeel.workflow import Workflow, to_milliseconds
from logkeel.workflow.payloads import encode_field
from logkeel.workflow.problems import Problem, raise_for
from logkeel.workflow.trials import NOBODY, Answer, Cancel, Fakes, Question, Signal


@dataclass(frozen=True, slots=True)
class Due:
    """A request that is sent at its time."""

    at_ms: int
    request: Request


@dataclass(slots=True)
class People:
    """Everybody around one run. `questions`: what was asked, in order; `missing`: open, and nobody was named for it;
    `lacked`: all that were ever missing.
    """

    workflow: "Workflow[Any]"
    fakes: Fakes
    run_id: str
    questions: list[Question] = field(default_factory=list)
    missing: dict[tuple[str, int, str | None], str] = field(default_factory=dict)
    lacked: list[str] = field(default_factory=list)
    _times: dict[str, int] = field(default_factory=dict)
    _asked: set[tuple[str, int, str | None]] = field(default_factory=set)

    def senders(self, started_ms: int) -> list[Due]:
        """Signals and cancels. Raises `DefinitionError` for what is none."""
        return [self._sent(each, started_ms) for each in self.fakes.signals]

    def answers(self, open_questions: Iterator[Asked]) -> list[Due]:
        """What follows from questions that are new. Raises `DefinitionError` for an answer that does not fit."""
        found, open_keys = [], set()
        for asked in open_questions:
            open_keys.add(asked.key)
            if asked.key not in self._asked:
                self._asked.add(asked.key)
                found += self._answered(asked)
        self.missing = {key: text for key, text in self.missing.items() if key in open_keys}
        return found

    def unused(self) -> Iterator[str]:
        """Humans that nobody asked."""
        if isinstance(self.fakes.humans, Mapping):
            asked = {name for question in self.questions for name in (question.name, question.path)}
            yield from (f"humans[{name!r}]: was not asked" for name in self.fakes.humans if name not in asked)

    def _answered(self, asked: Asked) -> list[Due]:
        name = asked.question.name
        times = self._times[name] = self._times.get(name, 0) + 1
        question = replace(asked.question, asked=times)
        self.questions.append(question)
        answer = self._choose(question)
        if answer is None:
            hint = "did" if question.kind == "doubt" else question.allow[0]
            self.missing[asked.key] = f"nobody was named for {name!r}: say humans={{{name!r}: {hint!r}}}"
            self.lacked.append(self.missing[asked.key])
            return []
        if answer.verb == NOBODY:
            return []
        return [Due(asked.asked_ms + to_milliseconds(answer.after), self._request(asked, answer))]

    def _choose(self, question: Question) -> Answer | None:
        humans = self.fakes.humans
        if callable(humans):
            said = humans(question)
            return None if said is None else _as_answer(said, question)
        for name in (question.path, static(question.path), question.name):
            if name in humans:
                return Answer(NOBODY) if humans[name] is None else _as_answer(humans[name], question)
        return None

    def _request(self, asked: Asked, answer: Answer) -> Request:
        question = asked.question
        if answer.verb not in (*question.allow, "delegate"):
            what = f"the answer {answer.verb!r} is none that {question.path} takes"
            remedy = f"answer one of {', '.join(question.allow)}, or {NOBODY!r}"
            raise_for([Problem(what, f"humans[{question.name!r}]", remedy)])
        if question.kind == "doubt":
            return ResolveStep(
                run_id=self.run_id,
                path=question.path,
                decision=answer.verb,
                request_id=f"answer/{question.path}/{asked.number}",
                dispatch=asked.number,
                writes=self._result(question, answer) if answer.verb == "did" else (),
                decided_by=answer.by,
                comment=answer.comment,
            )
        return AnswerQuestion(
            run_id=self.run_id,
            path=question.path,
            verb=answer.verb,
            request_id=f"answer/{question.path}/{asked.number}/{question.assignee or ''}",
            question=asked.number,
            payload=None if answer.value is None else self._payload(asked, answer.value),
            answered_by=answer.by,
            assignee=str(answer.value) if answer.verb == "delegate" else None,
            comment=answer.comment,
        )

    def _payload(self, asked: Asked, value: Any) -> Payload:
        """The value in the type of the field that it goes to."""
        name = asked.answer
        shape = self.workflow.shape.fields
        write = encode_field(shape[name], value) if name is not None and name in shape else None
        payload = None if write is None else write.payload
        return PLAIN.wrap(payload or payload_of(asked.question.name, value), asked.question.name)

    def _result(self, question: Question, answer: Answer) -> tuple[FieldWrite, ...]:
        """What a step in doubt returned, as the human says: ready-made writes, or the value the step would return."""
        value = answer.value
        if isinstance(value, tuple) and value and all(isinstance(each, FieldWrite) for each in value):
            return value
        step = self.workflow.bind(question.name)
        writes = () if value is None else step.encode_result(value)
        return PLAIN.wrap_writes(writes, f"the result of {question.path}")

    def _sent(self, item: Any, started_ms: int) -> Due:
        if isinstance(item, Cancel):
            request = CancelRun(run_id=self.run_id, request_id=uuid4().hex, reason=item.reason)
            return Due(started_ms + to_milliseconds(item.after), request)
        signal = _as_signal(item)
        return Due(
            started_ms + to_milliseconds(signal.after),
            SignalRun(
                run_id=self.run_id,
                name=signal.name,
                request_id=uuid4().hex,
                correlation=signal.correlation,
                payload=None if signal.payload is None else payload_of(signal.name, signal.payload),
            ),
        )


def _as_signal(item: Any) -> Signal:
    match item:
        case Signal():
            return item
        case str():
            return Signal(item)
        case (str(), *rest) if len(rest) < 3:
            return Signal(*item)
        case _:
            remedy = 'give a name, ("name", payload), ("name", payload, correlation), Signal(…) or Cancel(…)'
            raise_for([Problem(f"{item!r} is no signal", "signals=", remedy)])
            raise TypeError


def _as_answer(given: Any, question: Question) -> Answer:
    match given:
        case Answer():
            return given
        case str():
            return Answer(given)
        case list() if given:
            return _as_answer(given[min(question.asked, len(given)) - 1], question)
        case (str() as verb, value):
            return Answer(verb, value)
        case _ if callable(given):
            return _as_answer(given(question), question)
        case _:
            remedy = f"answer one of {', '.join(question.allow)}, (verb, value), Answer(…), or {NOBODY!r}"
            raise_for([Problem(f"{given!r} is no answer", f"humans[{question.name!r}]", remedy)])
            raise TypeError
