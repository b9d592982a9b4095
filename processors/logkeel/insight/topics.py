"""Our topics for any Faust application: a codec, and a transport that sees committed records only.

    app = faust.App("mine", broker="kafka://localhost:9092")

    @app.agent(run_events(app), concurrency=1)
    async def follow(events):
        async for event in events:
            print(event.run_id, event.kind)

Values are the frozen structs of `logkeel.records`. On `run-events` stand `RunEvent` and `ScheduleEvent`, on
`run-completions` `RunCompleted` and `RequestRejected`. Faust logs and passes over what cannot be decoded.
"""

from typing import Any, Final

from faust.serializers import codecs
from faust.types import AppT, TopicT

from logkeel.insight.transport import CommittedTransport
from logkeel.records.topics import DEFAULT_PREFIX, TopicNames
from logkeel.wire import decode, encode

CODEC: Final = "logkeel"


class RecordCodec(codecs.Codec):
    """Avro single-object encoding as a codec of Faust: records to bytes and back. Raises as `decode` and `encode`."""

    def _loads(self, s: bytes) -> Any:
        return decode(s)

    def _dumps(self, s: Any) -> bytes:
        return encode(s)


codecs.register(CODEC, RecordCodec())


def run_events(app: AppT, prefix: str = DEFAULT_PREFIX) -> TopicT:
    """`run-events` of an application of ours. From now on `app` reads committed records only, on all topics."""
    return _topic(app, TopicNames(prefix).run_events)


def run_completions(app: AppT, prefix: str = DEFAULT_PREFIX) -> TopicT:
    """`run-completions`, as `run_events`."""
    return _topic(app, TopicNames(prefix).run_completions)


def read_committed(app: AppT) -> None:
    """Have `app` read committed records only; without this Faust's at-least-once mode reads aborted ones as well.

    Before the app is started; idempotent.
    """
    if not isinstance(app.transport, CommittedTransport):
        app.transport = CommittedTransport(app.conf.broker_consumer, app, app.loop)


def _topic(app: AppT, name: str) -> TopicT:
    read_committed(app)
    # Keys are text; the topics are there, and Faust must not make them.
    return app.topic(name, key_type=str, key_serializer="raw", value_serializer=CODEC, internal=False)


__all__ = ["CODEC", "RecordCodec", "read_committed", "run_completions", "run_events"]
