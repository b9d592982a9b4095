"""Which question is meant, and whether it takes this answer: what can be said before anything is sent. Pure."""

from collections.abc import Mapping, Sequence

from logkeel.cli.texts import one_line
from logkeel.errors import CallerError, QuestionNotFound, RequestWasRejected
from logkeel.projection import RunView, WaitView

WITH_VALUE = ("edit", "respond")

_SEE: Mapping[str, str] = {
    "question_not_open": "approvals list",
    "another_incarnation": "approvals list",
    "verb_not_allowed": "approvals show",
    "run_finished": "run show",
}
"""The command that tells more, by the code of a rejection."""


def chosen(view: RunView, path: str | None) -> WaitView:
    """The open question of a run at `path`, or its only one.

    Raises `QuestionNotFound`, and `CallerError` if several are open and none is named.
    """
    questions = view.questions
    if not questions or (path is not None and path not in {each.path for each in questions}):
        raise _nobody_asked(view, path)
    if path is None and len(questions) > 1:
        raise CallerError(
            f"run {view.run_id} asks {len(questions)} questions, say which by --path: {_paths(questions)};"
            " see: logkeel approvals list",
            run_id=view.run_id,
            paths=[each.path for each in questions],
        )
    return next(each for each in questions if path in (None, each.path))


def refuse_unfit(verb: str, question: WaitView, run_id: str, *, has_value: bool) -> None:
    """Raise `CallerError` if this question does not take this verb, with a value or without."""
    place = f"{question.path} of run {run_id}"
    form = f"logkeel approvals show {run_id} --path {question.path}"
    if question.allow and verb not in question.allow:
        raise CallerError(f"{place} takes {', '.join(question.allow)}, not {verb!r}; see: {form}", run_id=run_id)
    if verb in WITH_VALUE and not has_value:
        raise CallerError(
            f"{verb} of {place} needs the answer: --value JSON or --value-file FILE; its form: {form}", run_id=run_id
        )
    if verb not in WITH_VALUE and has_value:
        raise CallerError(f"{verb} takes no value: leave --value out, or say edit or respond", run_id=run_id)


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


def _paths(questions: Sequence[WaitView]) -> str:
    return ", ".join(each.path for each in questions)
