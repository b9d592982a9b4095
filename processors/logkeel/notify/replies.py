"""What a form on a page brings, and the answer that it means. Pure but for the lookup of forms, which is handed in.

An answer's text is read by the form of the question: a text where a text is wanted, else JSON that has to fit the
schema. Where no form is known, as for questions of code, whoever answers says whether it is JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from logkeel.client import Answer
from logkeel.client.answers import NOTHING
from logkeel.notify.cases import Case

WITH_VALUE: Final = ("edit", "respond")
"""The verbs that bring a value."""

Schema = Mapping[str, Any]


class Forms(Protocol):
    """What is known of the answers to a question."""

    def schema(self, case: Case) -> Schema | None:
        """The JSON Schema of an answer; None if none is known. Raises `LogUnavailable`."""
        ...

    def problems(self, value: Any, schema: Schema) -> Sequence[str]:
        """Why the value does not fit; empty if it does."""
        ...


class NoForms:
    """Nothing is known: the step that reads the field validates it."""

    def schema(self, case: Case) -> Schema | None:
        """None."""
        return None

    def problems(self, value: Any, schema: Schema) -> Sequence[str]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Said:
    """What a form brought. `is_json`: who answers says that the value is."""

    verb: str
    who: str
    value: str = ""
    comment: str = ""
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Unfit:
    """An answer that cannot be sent, and why."""

    problem: str


def reply(case: Case, said: Said, forms: Forms) -> Answer | Unfit:
    """The answer, to this question of this incarnation and to no later one. Raises as `Forms.schema`."""
    if said.verb not in case.question.allow:
        return Unfit(f"This question takes {', '.join(case.question.allow)}.")
    if not said.who:
        return Unfit("Say who you are: it is kept in the history.")
    value: Any = NOTHING
    if said.verb in WITH_VALUE:
        if not said.value.strip():
            return Unfit(f"To {said.verb}, write what it is to be.")
        value = _value(said, forms.schema(case), forms)
        if isinstance(value, Unfit):
            return value
    return Answer(
        run_id=case.run_id,
        path=case.question.path,
        verb=said.verb,
        value=value,
        question=case.question.number,
        incarnation=case.incarnation,
        answered_by=said.who,
        comment=said.comment or None,
    )


def takes_text(schema: Schema | None) -> bool:
    """Whether an answer is a text, so that nobody has to write quotes around it."""
    if schema is None:
        return False
    kinds = [schema.get("type"), *(each.get("type") for each in schema.get("anyOf", ()) if isinstance(each, Mapping))]
    return "string" in kinds


def _value(said: Said, schema: Schema | None, forms: Forms) -> Any:
    text = said.value.replace("\r\n", "\n")
    as_text = takes_text(schema) if schema is not None else not said.is_json
    try:
        value = text if as_text else msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        return Unfit(f"The answer has to be JSON: {error}")
    problems = [] if schema is None else forms.problems(value, schema)
    return Unfit(f"The answer does not fit: {'; '.join(problems)}") if problems else value
