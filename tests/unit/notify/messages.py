"""Messages as the outbox makes them."""

from typing import Any

from msgspec.structs import replace

from logkeel.notify.cases import Case, Delivery, Kind
from logkeel.notify.channels import Message
from logkeel.projection import AnswerView, WaitView

CASE = Case(
    run_id="r1",
    incarnation="0@0",
    workflow="publish",
    version="1",
    definition_digest="d",
    question=WaitView(
        path="approve",
        kind="human",
        number=7,
        since_ms=1_000,
        due_ms=172_800_000,
        question="May <this> go\nout?",
        assignee="editors",
        allow=("approve", "edit", "reject"),
        shows=("report",),
    ),
)
OVER = replace(
    CASE, answer=AnswerView(path="approve", verb="reject", at_ms=5, by="bob", comment="too long"), over_ms=5_000
)


def message(
    kind: Kind = "asked", recipient: str = "ada@example.com", *, case: Case = CASE, link: str | None = None, **more: Any
) -> Message:
    """One to a recipient."""
    delivery = Delivery(key="ntf_k1", kind=kind, channel="c", recipient=recipient, revision=7, next_ms=0, attempt=1)
    shown = {} if case.over_ms else {"report": "a <b>fine</b> report", "pages": {"count": 3}}
    return Message(case=case, delivery=delivery, shown=shown, link=link, **more)
