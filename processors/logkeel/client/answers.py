"""A human's answer to a question, as a caller writes it. A value."""

from dataclasses import dataclass
from typing import Any, Final

from logkeel.client.building import payload_of
from logkeel.records import AnswerQuestion

DELEGATE: Final = "delegate"


class _Nothing:
    """No value; None is one."""


NOTHING: Final = _Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`verb`: approve, edit, reject or respond; `delegate` asks the `assignee` instead.

    `value`: the answer of edit and respond, anything that JSON can hold. `question`: which question is meant, by its
    number; without it the one that is open at `path`. `incarnation`: of which run of that id. `answered_by` stands in
    the history. `grant`: how much more of a budget that is used up; None: as much as at first.
    """

    run_id: str
    path: str
    verb: str
    value: Any = NOTHING
    question: int | None = None
    incarnation: str | None = None
    answered_by: str | None = None
    assignee: str | None = None
    comment: str | None = None
    grant: int | None = None

    def request(self, request_id: str, routing_key: str | None) -> AnswerQuestion:
        """The record of it. Raises `InvalidInput` for a value that JSON cannot hold."""
        return AnswerQuestion(
            run_id=self.run_id,
            path=self.path,
            verb=self.verb,
            request_id=request_id,
            routing_key=routing_key,
            question=self.question,
            incarnation=self.incarnation,
            payload=None if isinstance(self.value, _Nothing) else payload_of(self.path, self.value),
            answered_by=self.answered_by,
            assignee=self.assignee,
            comment=self.comment,
            grant=self.grant,
        )
