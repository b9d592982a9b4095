"""Which question is meant, and whether it takes this answer: what can be said before anything is sent. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from logkeel.cli.texts import one_line
from logkeel.client.answering import DELEGATE
from logkeel.errors import CallerError, ConfigInvalid, QuestionNotFound, RequestWasRejected
from logkeel.projection import QuestionView, RunView

VERBS = ("approve", "reject", "edit", "respond", DELEGATE)
WITH_VALUE = ("edit", "respond")

_SEE: Mapping[str, str] = {
    "question_not_open": "approvals list",
    "another_incarnation": "approvals list",
    "verb_not_allowed": "approvals show",
    "run_finished": "run show",
}
"""The command that tells more, by the code of a rejection."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a person wants to say. `path` None: to the one question that is open. `has_value`: an answer was given."""

    verb: str
    path: str | None = None
    has_value: bool = False
    to: str | None = None


def path_and_verb(words: Sequence[str]) -> tuple[str | None, str]:
    """`[PATH] VERB`. Raises `ConfigInvalid`."""
    if len(words) > 2:
        raise ConfigInvalid(f"say [PATH] VERB behind the run, not {' '.join(words)!r}; quote a path with spaces")
    verb = words[-1]
    if verb not in VERBS:
        raise ConfigInvalid(f"a verb is one of {', '.join(VERBS)}, not {verb!r}; it stands behind the path")
    return (words[0] if len(words) == 2 else None), verb


def chosen(view: RunView, path: str | None, *, command: str) -> QuestionView:
    """The open question of a run at `path`, or its only one; `command` is what to type with a path.

    Raises `QuestionNotFound`, and `CallerError` if several are open and none is named.
    """
    questions = view.questions
    if not questions or (path is not None and path not in {each.path for each in questions}):
        raise _nobody_asked(view, path)
    if path is None and len(questions) > 1:
        raise CallerError(
            f"run {view.run_id} asks {len(questions)} questions, say which: logkeel approvals {command}"
            f" (open: {_paths(questions)})",
            run_id=view.run_id,
            paths=[each.path for each in questions],
        )
    return next(each for each in questions if path in (None, each.path))


def refuse_unfit(said: Said, question: QuestionView, run_id: str) -> None:
    """Raise `CallerError` if this question does not take this answer, whatever its value."""
    place, form = f"{question.path} of run {run_id}", f"logkeel approvals show {run_id} {question.path}"
    if said.verb == DELEGATE:
        if said.to is None:
            raise CallerError(f"to delegate {place}, say to whom: --to NAME", run_id=run_id)
    elif said.to is not None:
        raise CallerError(f"--to belongs to delegate, not to {said.verb}", run_id=run_id)
    elif question.allow and said.verb not in question.allow:
        raise CallerError(f"{place} takes {', '.join(question.allow)}, not {said.verb}; see: {form}", run_id=run_id)
    if said.verb in WITH_VALUE and not said.has_value:
        raise CallerError(
            f"{said.verb} of {place} needs the answer: --value JSON or --value-file FILE; its form: {form}",
            run_id=run_id,
        )
    if said.verb not in WITH_VALUE and said.has_value:
        raise CallerError(f"{said.verb} takes no value: leave --value out, or say edit or respond", run_id=run_id)


def with_remedy(error: RequestWasRejected, run_id: str) -> RequestWasRejected:
    """The same rejection, with the command that tells more."""
    command = _SEE.get(error.rejection)
    if command is None:
        return error
    place = "" if command.endswith("list") else f" {run_id}"
    return RequestWasRejected(f"{error.message}; see: logkeel {command}{place}", **error.details)


def _nobody_asked(view: RunView, path: str | None) -> QuestionNotFound:
    at = "" if path is None else f" at {path}"
    if view.status != "running":
        why = f"run {view.run_id} has ended as {view.status} and asks nobody{at}"
    else:
        why = f"run {view.run_id} asks nobody{at} now"
    answers = [each for each in view.answers if path in (None, each.path)]
    if answers:
        last = answers[-1]
        by = (
            (f"by {one_line(last.by)}" if last.by else "by somebody")
            if last.in_time
            else "by its policy, since nobody did"
        )
        why += f"; {last.path} was answered with {last.verb} {by}"
    if view.questions:
        why += f"; open: {_paths(view.questions)}"
    return QuestionNotFound(f"{why}; see: logkeel run show {view.run_id}", run_id=view.run_id, path=path)


def _paths(questions: Sequence[QuestionView]) -> str:
    return ", ".join(each.path for each in questions)
