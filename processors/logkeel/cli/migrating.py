"""Moving a run to a newer version of its workflow: the state at a revision, through the migrations of that version."""

from typing import Any

from logkeel.cli.recordings import Recording
from logkeel.cli.state_views import values_of
from logkeel.errors import ConfigInvalid, InvalidInput
from logkeel.payloads import PayloadChain
from logkeel.runs.core.replay import replay


def migrated(recording: Recording, target: str, chain: PayloadChain) -> tuple[str, dict[str, Any]]:
    """The version of the workflow `target`, and the fields whose values its migrations change.

    Raises `ConfigInvalid` for another workflow, `InvalidInput` where an open block has fields of its own,
    `DefinitionError` for a migration that is missing, as `PayloadChain.unwrap`, and what migrations raise.
    """
    from logkeel.cli.applications import named_workflows

    (workflow, *others) = named_workflows(target)
    plan = recording.plan()
    state = replay(recording.events, plan)
    name = state.info.workflow
    if others or workflow.name != name:
        raise ConfigInvalid(f"the run is one of {name!r}: name that workflow, as in --to app:workflow")
    inside = sorted({scope for scope, _ in state.fields if scope})
    if inside:
        places = ", ".join(inside)
        raise InvalidInput(f"{places} has written fields that no migration sees: fork before it, or behind its end")
    values = values_of(state, plan, chain)
    newer = workflow.migrations.apply(values, state.info.schema_version)
    return workflow.version, {field: value for field, value in newer.items() if values.get(field, _ABSENT) != value}


_ABSENT = object()
