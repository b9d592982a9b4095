"""Workflows whose runs are turns of a conversation: what an author says of it, and the checks. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from logkeel.definitions import Block, Conversation, OnBusy, SignalBlock, all_blocks
from logkeel.workflow.annotations import bare
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField


def conversation_in(more: Mapping[str, Any], fields: Mapping[str, StateField]) -> Conversation | None:
    """What the options of a workflow say of conversations; None if its runs are no turns."""
    field = more.get("conversation")
    if field is None:
        return None
    on_busy: OnBusy = more.get("on_busy", "queue")
    joins = _messages(field, fields) if on_busy == "join" else []
    return Conversation(
        field=field,
        keep=_names(more.get("keep", ())),
        on_busy=on_busy,
        joins=joins[0] if len(joins) == 1 else None,
    )


def conversation_problems(
    more: Mapping[str, Any], fields: Mapping[str, StateField], returns: Sequence[str], place: str
) -> Iterator[Problem]:
    """What is wrong with these options."""
    field = more.get("conversation")
    if field is None:
        for name in ("keep", "on_busy"):
            if name in more:
                yield Problem(f"{name}= belongs to conversations", place, 'say conversation="field", or leave it out')
        return
    known = fields.get(field)
    if known is None:
        yield Problem(f"conversation={field!r} is no field of the state", place, f"use one of {', '.join(fields)}")
    elif not known.definition.required or bare(known.annotation) is not str:
        remedy = f"declare `{field}: str` without a default: every turn is told whose it is"
        yield Problem(f"field {field!r} does not say whose turn a run is", place, remedy)
    yield from _keep_problems(field, _names(more.get("keep", ())), fields, returns, place)
    on_busy = more.get("on_busy", "queue")
    if on_busy not in get_args(OnBusy):
        yield Problem(f"on_busy={on_busy!r} is unknown", place, f"use one of {', '.join(map(repr, get_args(OnBusy)))}")
    elif on_busy == "join" and len(_messages(field, fields)) != 1:
        what = 'on_busy="join" gives the message to the running turn, and the state does not say which field that is'
        yield Problem(what, place, f"let one field beside {field!r} be required, and no control field")


def joining_problems(
    conversation: Conversation | None, flow: Block, place: str, *, has_journals: bool
) -> Iterator[Problem]:
    """A message that joins is a signal: something has to wait for it."""
    name = None if conversation is None else conversation.joins
    waits = any(isinstance(each, SignalBlock) and each.name == name for each in all_blocks(flow))
    if name is not None and not waits and not has_journals:
        what = f"messages that join a running turn are signals called {name!r}, and nothing in the flow waits for one"
        yield Problem(what, place, f'put wait_signal("{name}", …) into the flow, or say on_busy="queue"')


def _keep_problems(
    field: str, keep: Sequence[str], fields: Mapping[str, StateField], returns: Sequence[str], place: str
) -> Iterator[Problem]:
    for name in keep:
        known = fields.get(name)
        if known is None:
            yield Problem(f"keep= names {name!r}, which is no field of the state", place, "name a field of the state")
        elif known.definition.required:
            what = f"field {name!r} is kept, and every turn has to be given it"
            yield Problem(what, place, "give it a default: what the first turn begins with")
        elif name in returns:
            what = f"field {name!r} is kept and returned, and the next turn changes it"
            yield Problem(what, place, "return a field of the turn's own, such as its answer")
    if len(set(keep)) != len(keep):
        yield Problem(f"keep= names a field twice: {', '.join(keep)}", place, "name each field once")


def _messages(field: str, fields: Mapping[str, StateField]) -> list[str]:
    """Fields that may be what somebody says in a turn."""
    return [
        name
        for name, each in fields.items()
        if name != field and each.definition.required and each.definition.control_type is None and each.elements is None
    ]


def _names(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
