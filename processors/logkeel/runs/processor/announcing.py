"""Records that tell the world: completions and rejections. Pure.

Their headers are those of CloudEvents (Kafka protocol binding, binary content mode).
"""

from logkeel.log import Header, OutputRecord
from logkeel.records import FieldValue, RequestRejected, RunCompleted
from logkeel.runs.core.state import RunState
from logkeel.runs.processor.tracing import headers_of
from logkeel.wire import encode


def completion(state: RunState, result: tuple[FieldValue, ...], *, reannounced: bool = False) -> RunCompleted:
    """The completion of a run that has ended; `result` is what it returns, empty unless it succeeded."""
    info, head = state.info, state.head
    return RunCompleted(
        run_id=info.run_id,
        incarnation=info.incarnation,
        workflow=info.workflow,
        version=info.version,
        definition_digest=info.digest,
        status=head.status,
        revision=head.revision,
        started_at_ms=info.started_at_ms,
        finished_at_ms=head.finished_at_ms or head.last_ms,
        result=result,
        error=head.error,
        steps_completed=head.steps_completed,
        attempts=head.attempts,
        request_id=info.request_id,
        conversation_id=info.conversation_id,
        attributes=dict(info.attributes),
        origin=info.origin,
        reannounced=reannounced,
        trace=info.trace,
        retries=head.retries,
    )


def completion_output(topic: str, partition: int, message: RunCompleted) -> OutputRecord:
    """As a record; a completion that is announced again has the id of the first one, the end of a retry its own."""
    identifier = f"{message.run_id}/{message.incarnation}/completed"
    if message.retries:
        identifier += f"/{message.retries}"
    headers = (*_cloud_event("run.completed", identifier, message.run_id), *headers_of(message.trace))
    return OutputRecord(topic, message.run_id.encode(), encode(message), partition, headers)


def rejection_output(topic: str, partition: int, message: RequestRejected) -> OutputRecord:
    """As a record, keyed by the run it was about, else by the request."""
    subject = message.run_id or message.request_id
    headers = _cloud_event("request.rejected", f"{message.request_id}/rejected", subject)
    return OutputRecord(topic, subject.encode(), encode(message), partition, headers)


def _cloud_event(kind: str, identifier: str, subject: str) -> tuple[Header, ...]:
    return (
        ("ce_specversion", b"1.0"),
        ("ce_type", f"io.logkeel.{kind}".encode()),
        ("ce_source", b"logkeel"),
        ("ce_id", identifier.encode()),
        ("ce_subject", subject.encode()),
        ("content-type", b"application/avro"),
    )
