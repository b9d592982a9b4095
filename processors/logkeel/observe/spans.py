"""Spans of executions and journaled calls as names and attributes. Pure; knows OpenTelemetry's names, not its library.

An execution is a consumer of its command (messaging conventions) and an agent's turn (GenAI conventions); a journaled
call inside of it is a tool that is executed. Both conventions are in development: their names are in this file alone.
No content is recorded: no input, no result, no message of an error.

| span | name | kind | parent |
|---|---|---|---|
| call of a gateway | `POST <route>` | SERVER | the caller's, if it names one |
| attempt to notify | `notify <kind>` | CLIENT | none: a tree of its own in the run's trace |
| execution | `invoke_agent <step>` | CONSUMER | none: a tree of its own in the run's trace |
| call | `execute_tool <name>` | INTERNAL | the execution, or what its code has opened around the call |

An execution links to what led to it, and to the execution of the same step before it.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from logkeel.records import StepFailed, StepSucceeded, StepSuspended
from logkeel.records.tracing import SpanPlace, cause_of, execution_span_id, trace_id_of_command
from logkeel.steps.attempt import Attempt
from logkeel.steps.execution import Outcome
from logkeel.steps.journal.calls import CallSeen
from logkeel.steps.logged import outcome_of

Attributes: TypeAlias = dict[str, str | int | bool | float]

PROVIDER: Final = "logkeel"

SERVER_ERROR: Final = 500
"""A status from which on a call is a fault of the one who is called, as the HTTP conventions have it."""

USAGE: Final[Mapping[str, str]] = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
}
"""Units of `step.used` that have a name in the conventions; others are `logkeel.used.<unit>`."""


def execution_name(attempt: Attempt) -> str:
    """The span's name: low cardinality, no run."""
    return f"invoke_agent {attempt.command.identity.step}"


def execution_attributes(attempt: Attempt, group: str) -> Attributes:
    """What is known at the start. `group`: the consumer group of the worker."""
    command, source = attempt.command, attempt.start.source
    identity = command.identity
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": source.topic,
        "messaging.destination.partition.id": str(source.partition),
        "messaging.kafka.offset": attempt.start.offset,
        "messaging.consumer.group.name": group,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.agent.name": identity.step,
        "gen_ai.agent.version": command.version,
        "gen_ai.workflow.name": command.workflow,
        "gen_ai.conversation.id": identity.run_id,
        "session.id": identity.run_id,
        "logkeel.run.id": identity.run_id,
        "logkeel.run.incarnation": identity.incarnation,
        "logkeel.step.path": identity.path,
        "logkeel.step.attempt": identity.attempt,
        "logkeel.step.dispatch": identity.dispatch,
        "logkeel.step.effect": command.effect,
    }


def outcome_attributes(outcome: Outcome) -> Attributes:
    """What is known at the end: what became of it, and what it has used."""
    found: Attributes = {"logkeel.step.outcome": outcome_of(outcome)}
    if isinstance(outcome, StepSucceeded | StepFailed | StepSuspended):
        for unit, amount in outcome.used.items():
            found[USAGE.get(unit, f"logkeel.used.{unit}")] = amount
    if isinstance(outcome, StepFailed):
        found["error.type"] = outcome.error.code
    return found


def execution_links(attempt: Attempt) -> list[SpanPlace]:
    """What led to it: the span its command names, and the execution of the same step before it."""
    command = attempt.command
    identity, found = command.identity, []
    cause = cause_of(command.trace)
    if cause is not None:
        found.append(cause)
    if identity.dispatch > 1:
        before = execution_span_id(identity.run_id, identity.incarnation, identity.path, identity.dispatch - 1)
        place = SpanPlace(trace_id_of_command(command), before)
        if cause is None or place.span_id != cause.span_id:
            found.append(place)
    return found


def call_name(call: CallSeen) -> str:
    """The span's name; authors name calls, and an id in it is theirs to keep out."""
    return f"execute_tool {call.name}"


def call_attributes(call: CallSeen) -> Attributes:
    """What is known at its start."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.type": "function",
        "logkeel.call.position": call.position,
        "logkeel.call.number": call.number,
        "logkeel.call.effect": call.effect,
    }


def http_attributes(method: str, route: str, status: int) -> Attributes:
    """Of a call of a gateway: the HTTP conventions, which are stable. The route, never the path."""
    found: Attributes = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    return found


def request_attributes(run_id: str, request_id: str) -> Attributes:
    """Of the request that a call put on the log; one for a schedule has no run."""
    found: Attributes = {"logkeel.request.id": request_id}
    if run_id:
        found |= {"logkeel.run.id": run_id, "session.id": run_id}
    return found


def notification_attributes(facts: Mapping[str, str | int]) -> Attributes:
    """Of an attempt to notify somebody; who it is and what they are told is left out."""
    return {
        "gen_ai.workflow.name": facts["workflow"],
        "gen_ai.conversation.id": facts["run_id"],
        "session.id": facts["run_id"],
        "logkeel.run.id": facts["run_id"],
        "logkeel.run.incarnation": facts["incarnation"],
        "logkeel.step.path": facts["path"],
        "logkeel.notification.kind": facts["kind"],
        "logkeel.notification.channel": facts["channel"],
        "logkeel.notification.key": facts["key"],
        "logkeel.notification.attempt": facts["attempt"],
    }
