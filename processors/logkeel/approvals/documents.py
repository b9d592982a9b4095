"""An open question as JSON values, the same for commands and HTTP. Pure."""

from typing import Any

from logkeel.approvals.forms import Form
from logkeel.client.building import plain_result
from logkeel.projection import OpenQuestion
from logkeel.projection.documents import wait_json
from logkeel.records import FieldValue


def question_summary(asked: OpenQuestion, now_ms: int) -> dict[str, Any]:
    """A question as an element of the list."""
    return {
        "run_id": asked.run_id,
        "workflow": f"{asked.workflow}@{asked.version}",
        **wait_json(asked.question, now_ms),
    }


def question_json(asked: OpenQuestion, form: Form, now_ms: int) -> dict[str, Any]:
    """Everything that a person has to know to answer; `shown` by field."""
    return {
        **question_summary(asked, now_ms),
        "definition_digest": asked.definition_digest,
        "incarnation": asked.incarnation,
        "routing_key": asked.routing_key,
        "shown": {value.field: shown_value(value, form) for value in asked.shown},
        "schema": form.schema,
    }


def shown_value(value: FieldValue, form: Form) -> Any:
    """A payload that cannot be read here is told by its encoding and size."""
    if value.revision == 0:
        return form.defaults.get(value.field)
    plain = plain_result((value,))[value.field]
    payload = value.payload
    if payload is not None and payload.blob is not None:
        return {"encoding": payload.encoding, "bytes": payload.blob.size_bytes, "uri": payload.blob.uri}
    if isinstance(plain, bytes) and payload is not None:
        return {"encoding": payload.encoding, "bytes": len(plain)}
    return plain
