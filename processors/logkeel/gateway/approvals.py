"""Routes for those who are asked: open questions, one of them with its form, and the answer."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from logkeel.approvals.documents import question_json, question_summary
from logkeel.approvals.entries import WITH_VALUE
from logkeel.approvals.forms import refuse_misfit
from logkeel.client import Answer, Client
from logkeel.client.answers import DELEGATE, NOTHING
from logkeel.client.opening import readable_values
from logkeel.errors import InvalidInput, QuestionNotFound
from logkeel.gateway.access import Principal
from logkeel.gateway.dependencies import (
    Approver,
    Cursor,
    IdempotencyKey,
    Limit,
    MinOffset,
    P,
    QuestionPath,
    RunId,
    Viewer,
)
from logkeel.gateway.models import LONGEST_ID, AnswerBody, Asked, Question, QuestionPage
from logkeel.gateway.parts import Parts, answered, in_thread
from logkeel.gateway.steering import ASKED, WaitQuery, tell
from logkeel.projection import OpenQuestion

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])


async def _place(run_id: RunId, path: QuestionPath) -> tuple[str, str]:
    return run_id, path


Place = Annotated[tuple[str, str], Depends(_place)]
"""Run and path of a question."""


@router.get("", response_model=QuestionPage, operation_id="list_approvals")
async def list_approvals(
    parts: P,
    _: Viewer,
    assignee: Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    min_offset: MinOffset = None,
) -> Response:
    """What humans are being asked now, the oldest question first."""
    await parts.settle(min_offset)
    answer = await in_thread(parts.model.questions, assignee=assignee, cursor=cursor, limit=limit)
    now_ms = parts.now_ms()
    items = [question_summary(each, now_ms) for each in answer.value.items]
    reflects = parts.reflects(answer.reflects)
    return answered({"items": items, "next_cursor": answer.value.next_cursor, "reflects": reflects})


@router.get("/{run_id}/{path}", response_model=Question, operation_id="show_approval")
async def show_approval(parts: P, _: Viewer, place: Place, min_offset: MinOffset = None) -> Response:
    """One question: what is asked, what is to be seen, and the JSON Schema of an answer."""
    await parts.settle(min_offset)
    asked = await in_thread(readable_values, await question_at(parts, *place), parts.payloads)
    form = await in_thread(parts.published.form, asked.definition_digest, asked.path)
    return answered(question_json(asked, form, parts.now_ms()))


@router.post(
    "/{run_id}/{path}/answer", status_code=202, response_model=Asked, responses=ASKED, operation_id="answer_approval"
)
async def answer_approval(
    parts: P, principal: Approver, place: Place, body: AnswerBody, key: IdempotencyKey = None, wait_s: WaitQuery = 0.0
) -> Response:
    """Answer a question, or hand it on with `delegate`. The first valid answer counts."""
    answer = await answer_for(parts, principal, place, body)

    def send(client: Client, routing_key: str | None) -> str:
        return client.answer(answer, request_id=key, routing_key=routing_key)

    return await tell(parts, answer.run_id, send, wait_s)


async def answer_for(parts: Parts, principal: Principal, place: tuple[str, str], body: AnswerBody) -> Answer:
    """The answer to the open question there. Raises `RunNotFound`, `QuestionNotFound`, `InvalidInput`."""
    run_id, path = place
    asked = await question_at(parts, run_id, path)
    refuse_unfit(asked, body)
    if body.verb in WITH_VALUE:
        form = await in_thread(parts.published.form, asked.definition_digest, path)
        await in_thread(refuse_misfit, body.value, form.schema, where="GET of the approval")
    return Answer(
        run_id=run_id,
        path=path,
        verb=body.verb,
        value=body.value if body.verb in WITH_VALUE else NOTHING,
        question=asked.question.number,
        incarnation=asked.incarnation,
        answered_by=principal.name if principal.is_known else body.answered_by,
        assignee=body.assignee,
        comment=body.comment,
        grant=body.grant,
    )


def refuse_unfit(asked: OpenQuestion, body: AnswerBody) -> None:
    """Raise `InvalidInput` if this question does not take this verb with what goes with it, and `QuestionNotFound` if
    it is not the one that was seen.
    """
    question = asked.question
    where = f"{question.path} of run {asked.run_id}"
    if body.question is not None and body.question != question.number:
        said = f"question {body.question} at {where} is not open any more; {question.number} is"
        raise QuestionNotFound(said, run_id=asked.run_id, path=question.path)
    if body.verb == DELEGATE:
        if body.assignee is None:
            raise InvalidInput(f"delegate of {where} needs an assignee", field="assignee")
    elif question.allow and body.verb not in question.allow:
        raise InvalidInput(f"{where} takes {', '.join(question.allow)}, not {body.verb!r}", field="verb")
    if body.verb in WITH_VALUE and "value" not in body.model_fields_set:
        raise InvalidInput(f"{body.verb} of {where} needs a value", field="value")
    if body.verb not in WITH_VALUE and "value" in body.model_fields_set:
        raise InvalidInput(f"{body.verb} takes no value; edit and respond do", field="value")


async def question_at(parts: Parts, run_id: str, path: str) -> OpenQuestion:
    """The open question there. Raises `RunNotFound`, `QuestionNotFound`."""
    await parts.known(run_id)
    answer = await in_thread(parts.model.question, run_id, path)
    if answer is None:
        raise QuestionNotFound(f"run {run_id} asks nobody at {path} now", run_id=run_id, path=path)
    return answer.value
