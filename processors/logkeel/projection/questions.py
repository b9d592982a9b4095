"""An open question as a human meets it: with the run it is about and the values that are to be seen. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from logkeel.projection.views import RunView
from logkeel.projection.waits import WaitView, shown
from logkeel.records import FieldValue, RunEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """A question that nobody has answered yet, and everything that an answer has to name.

    `shown`: the fields that the human is to see, as they stood when the question was asked; payloads undecoded.
    `definition_digest` names the definition that has the JSON Schema of the answer.
    """

    run_id: str
    incarnation: str
    workflow: str
    version: str
    definition_digest: str
    routing_key: str | None
    question: WaitView
    shown: tuple[FieldValue, ...] = ()

    @property
    def path(self) -> str:
        """Where in the run it is asked."""
        return self.question.path


def question_of(view: RunView, question: WaitView, history: Sequence[RunEvent]) -> OpenQuestion:
    """The question of this run, whose events are `history`."""
    return OpenQuestion(
        run_id=view.run_id,
        incarnation=view.incarnation,
        workflow=view.workflow,
        version=view.version,
        definition_digest=view.definition_digest,
        routing_key=view.routing_key,
        question=question,
        shown=shown(question, history),
    )
