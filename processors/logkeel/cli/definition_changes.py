"""What differs between two definitions of a workflow, for whom it matters, and why. Pure.

Runs are pinned to the definition that they were started with, so nothing here changes a run that is under way. What can
break: those who start runs, those who read completions, workers, and runs that are to be moved to the new version.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from logkeel.definitions import FieldDefinition, StepDefinition, WorkflowDocument, encode_document
from logkeel.runs.core.plan import Plan

Verdict = Literal["breaks", "note", "fine"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `remedy` is empty if nothing is to be done."""

    place: str
    what: str
    verdict: Verdict
    reason: str
    remedy: str = ""


def changes(old: WorkflowDocument, new: WorkflowDocument, migrations: AbstractSet[int] = frozenset()) -> list[Change]:
    """Everything that differs; `migrations`: the schema versions that the new workflow leads on from."""
    if encode_document(old) == encode_document(new):
        return []
    found = [*_label(old, new), *_schema(old, new, migrations), *_fields(old, new), *_steps(old, new), *_flow(old, new)]
    order = ("breaks", "note", "fine")
    return sorted(found, key=lambda change: order.index(change.verdict))


def _label(old: WorkflowDocument, new: WorkflowDocument) -> Iterator[Change]:
    if old.version == new.version:
        reason = "a published version never changes its content: workers with it would not start"
        remedy = f'give it another one: Workflow({new.name!r}, version="…")'
        yield Change("version", f"is {new.version} still, with other content", "breaks", reason, remedy)
    if old.run_timeout_ms != new.run_timeout_ms:
        yield Change(
            "run_timeout",
            f"was {_time(old.run_timeout_ms)}, is {_time(new.run_timeout_ms)}",
            "fine",
            "runs that are under way keep theirs",
        )
    if old.returns != new.returns:
        gone = sorted(set(old.returns) - set(new.returns))
        what = f"was {', '.join(old.returns) or 'nothing'}, is {', '.join(new.returns) or 'nothing'}"
        if gone:
            yield Change(
                "returns", what, "breaks", f"who reads completions misses {', '.join(gone)}", "keep returning it"
            )
        else:
            yield Change("returns", what, "fine", "completions carry more than before")


def _schema(old: WorkflowDocument, new: WorkflowDocument, migrations: AbstractSet[int]) -> Iterator[Change]:
    if new.schema_version < old.schema_version:
        what = f"went back from {old.schema_version} to {new.schema_version}"
        yield Change("schema_version", what, "breaks", "migrations lead forward only", "raise it")
    elif new.schema_version == old.schema_version:
        if _shapes(old) != _shapes(new):
            reason = "states of both shapes have one number, so a migration cannot tell them apart"
            yield Change(
                "schema_version", "is the same, but fields differ", "note", reason, "raise schema_version by one"
            )
    else:
        missing = [each for each in range(old.schema_version, new.schema_version) if each not in migrations]
        what = f"was {old.schema_version}, is {new.schema_version}"
        if missing:
            reason = f"no migration leads from {missing[0]}: runs under way cannot be moved to this version"
            remedy = f"add @workflow.migration(from_version={missing[0]}), or let them end as they are"
            yield Change("schema_version", what, "note", reason, remedy)
        else:
            yield Change("schema_version", what, "fine", "migrations lead here: logkeel run fork RUN --to …")


def _shapes(document: WorkflowDocument) -> dict[str, object]:
    return {field.name: (field.control_type, field.reducer) for field in document.fields}


def _fields(old: WorkflowDocument, new: WorkflowDocument) -> Iterator[Change]:
    before, after = ({field.name: field for field in document.fields} for document in (old, new))
    for name in sorted(before.keys() | after.keys()):
        place = f"field {name}"
        if name not in before:
            yield _new_field(place, after[name])
        elif name not in after:
            yield _lost_field(place, before[name])
        elif before[name] != after[name]:
            yield from _changed_field(place, before[name], after[name])


def _new_field(place: str, field: FieldDefinition) -> Change:
    if field.required:
        reason = "starts without it are refused as invalid_input"
        return Change(
            place, "is a new required input", "breaks", reason, "give it a default, or change the callers first"
        )
    return Change(place, "is new", "fine", "it has a default, so starts need not give it")


def _lost_field(place: str, field: FieldDefinition) -> Change:
    reason = "starts that give it are refused as invalid_input"
    if field.required:
        return Change(place, "is gone, and was a required input", "breaks", reason, "change the callers first")
    return Change(place, "is gone", "note", f"{reason}; runs under way keep it", "make sure that no caller gives it")


def _changed_field(place: str, old: FieldDefinition, new: FieldDefinition) -> Iterator[Change]:
    if old.required != new.required:
        yield (
            Change(place, "became a required input", "breaks", "starts without it are refused", "give it a default")
            if new.required
            else Change(place, "is no required input any more", "fine", "it has a default now")
        )
    if old.control_type != new.control_type:
        what = f"was {old.control_type or 'a payload'}, is {new.control_type or 'a payload'}"
        reason = "starts and steps that give the old type are refused"
        yield Change(place, what, "breaks", reason, "use another field name for the new type")
    gone = [choice for choice in old.choices if choice not in new.choices]
    if gone and new.choices:
        what = f"does not take {', '.join(map(repr, gone))} any more"
        yield Change(place, what, "breaks", "starts that give it are refused", "keep it, or change the callers first")
    elif old.choices != new.choices:
        yield Change(place, "takes more values", "fine", "what was given before is taken still")
    if (old.nullable, old.default, old.reducer) != (new.nullable, new.default, new.reducer):
        yield Change(place, "has another default or reducer", "fine", "runs under way keep theirs")


def _steps(old: WorkflowDocument, new: WorkflowDocument) -> Iterator[Change]:
    before, after = ({step.name: step for step in document.steps} for document in (old, new))
    for name in sorted(before.keys() | after.keys()):
        place = f"step {name}"
        if name not in before:
            yield Change(place, "is new", "fine", "only new runs have it")
        elif name not in after:
            reason = "runs under way of the old version still ask workers for it"
            remedy = "keep a worker with the old code until they have ended, or move them"
            yield Change(place, "is gone", "note", reason, remedy)
        elif before[name] != after[name]:
            yield from _changed_step(place, before[name], after[name])


def _changed_step(place: str, old: StepDefinition, new: StepDefinition) -> Iterator[Change]:
    if old.queue != new.queue:
        reason = f"new runs wait until a worker of queue {new.queue} has this version"
        what = f"moved from queue {old.queue} to {new.queue}"
        yield Change(place, what, "note", reason, f"start: logkeel worker … --queue {new.queue}")
    if old.effect != new.effect:
        reason = "it says what happens in doubt; runs under way keep the old meaning"
        yield Change(place, f"was {old.effect}, is {new.effect}", "note", reason)
    rest = [
        name
        for name in StepDefinition.__struct_fields__
        if name not in ("name", "queue", "effect") and getattr(old, name) != getattr(new, name)
    ]
    if rest:
        yield Change(place, f"has other {', '.join(rest)}", "fine", "runs under way keep theirs")


def _flow(old: WorkflowDocument, new: WorkflowDocument) -> Iterator[Change]:
    """Runs under way do not see another flow; those that are to be moved have to find their places in it."""
    if old.flow == new.flow:
        return
    before, after = (_places(Plan(document, "")) for document in (old, new))
    gone = sorted(before - after)
    if gone:
        what = f"has no {', '.join(gone)} any more"
        reason = "runs under way go on in the old flow; one that has been there cannot be moved to this version"
        yield Change("flow", what, "note", reason, "keep these places if runs are to be moved")
    else:
        yield Change("flow", "is another one, with all places of the old one", "fine", "runs can be moved to it")


def _places(plan: Plan) -> set[str]:
    decided = {*plan.steps, *plan.forks, *plan.choices, *plan.loops, *plan.leaves, *plan.limits, *plan.rescues}
    return decided | {*plan.waits, *plan.inlines, *plan.eaches, *plan.children, *plan.sagas}


def _time(milliseconds: int | None) -> str:
    return "none" if milliseconds is None else f"{milliseconds} ms"
