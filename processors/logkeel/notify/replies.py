"""What a form on a page brings, and the answer that it means. Pure but for the lookup of forms, which is handed in.

Entries are read by the form of the question, and what they mean has to fit its schema. Where no form is known, as for
questions of code, whoever answers says whether it is JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from logkeel.approvals.entries import WITH_VALUE, value_of
from logkeel.client import Answer
from logkeel.client.answers import NOTHING
from logkeel.errors import InvalidInput
from logkeel.notify.cases import Case

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
    """What a form brought. `posted`: its entries (`logkeel.approvals.entries`)."""

    verb: str
    who: str
    comment: str = ""
    posted: Mapping[str, str] = field(default_factory=dict)


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
        schema = forms.schema(case)
        try:
            value = value_of(said.posted, schema)
        except InvalidInput as error:
            return Unfit(f"To {said.verb}: {error.message}.")
        problems = [] if schema is None else forms.problems(value, schema)
        if problems:
            return Unfit(f"The answer does not fit: {'; '.join(problems)}")
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
