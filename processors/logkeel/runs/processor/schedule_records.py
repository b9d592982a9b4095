"""Records of schedules: the start and the cancel of a run, at the schedule's own home; and its events. Pure."""

from logkeel.definitions.rhythm import due_text
from logkeel.log import OutputRecord
from logkeel.records import CancelRun, PutSchedule, ScheduleEvent, StartRun
from logkeel.records.topics import TopicNames
from logkeel.runs.core.schedules import Occasion
from logkeel.wire import encode


def start_output(occasion: Occasion, put: PutSchedule, names: TopicNames, partition: int) -> OutputRecord:
    """The run that is due."""
    request = StartRun(
        workflow=put.workflow,
        run_id=occasion.run_id,
        request_id=occasion.run_id,
        routing_key=put.name,
        inputs=put.inputs,
        input_digest=put.input_digest,
        attributes={"schedule": put.name, "due": due_text(occasion.due_ms)},
    )
    return OutputRecord(names.run_requests, put.name.encode(), encode(request), partition)


def cancel_output(run_id: str, put: PutSchedule, names: TopicNames, partition: int) -> OutputRecord:
    """It is to make room for the next one. Behind its start, in the same partition."""
    request = CancelRun(
        run_id=run_id,
        request_id=f"{run_id}/cancel",
        routing_key=put.name,
        reason=f"the next run of schedule {put.name!r} is due",
        requested_by=f"schedule {put.name}",
    )
    return OutputRecord(names.run_requests, put.name.encode(), encode(request), partition)


def event_output(event: ScheduleEvent, names: TopicNames, partition: int) -> OutputRecord:
    """What became of it."""
    return OutputRecord(names.run_events, event.name.encode(), encode(event), partition)
