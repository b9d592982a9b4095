"""What a record does to the view of its run: begins it anew, moves it on, or nothing. Pure.

Shared by the projections in memory and on disk, so that both say the same of the same log.
"""

from logkeel.projection.views import RunView
from logkeel.records import RunCompleted, RunEvent


def begins_anew(view: RunView | None, event: RunEvent) -> bool:
    """Whether the run's view begins with this event: nothing, only an end, or an older life of its id was known.

    Which incarnation is younger is said by the log, whose order this is fed in.
    """
    if view is None:
        return True
    if view.incarnation == event.incarnation:
        return view.revision == 0
    return event.at_ms >= view.started_at_ms


def is_news(view: RunView, event: RunEvent) -> bool:
    """Whether the event is of the life that is shown, and was not applied yet."""
    return view.incarnation == event.incarnation and event.revision > view.revision


def view_of_end(record: RunCompleted) -> RunView:
    """A run of which only the end is known: its events are not kept any more, or are still to be read."""
    view = RunView(
        run_id=record.run_id,
        incarnation=record.incarnation,
        workflow=record.workflow,
        version=record.version,
        definition_digest=record.definition_digest,
        started_at_ms=record.started_at_ms,
        attributes=dict(record.attributes),
        complete=False,
    )
    end(view, record)
    return view


def end(view: RunView, record: RunCompleted) -> None:
    """What a completion tells that the events which were not seen would have told.

    One of another life, or from before a retry that was seen, tells nothing.
    """
    if view.incarnation != record.incarnation or record.revision < view.revision:
        return
    view.status, view.error, view.finished_at_ms = record.status, record.error, record.finished_at_ms
    view.waits.clear()
    view.slots.clear()
