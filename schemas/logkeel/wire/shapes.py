"""The record types that stand alone on a topic."""

import typing

from logkeel.records import (
    AnswerQuestion,
    CancelRun,
    ChildCompleted,
    ForkRun,
    PauseRun,
    RequestRejected,
    ResolveStep,
    ResumeRun,
    RunCompleted,
    RunEvent,
    SignalRun,
    StartRun,
    StepCommand,
    StepFailed,
    StepHeartbeat,
    StepJournaled,
    StepReclaimed,
    StepRefused,
    StepReleased,
    StepRevoked,
    StepSucceeded,
    StepSuspended,
    WorkflowDefinition,
)

Record = (
    StartRun
    | SignalRun
    | CancelRun
    | ResolveStep
    | AnswerQuestion
    | PauseRun
    | ResumeRun
    | ForkRun
    | StepCommand
    | StepRevoked
    | StepHeartbeat
    | StepSucceeded
    | StepFailed
    | StepReclaimed
    | StepReleased
    | StepRefused
    | StepJournaled
    | StepSuspended
    | ChildCompleted
    | RunEvent
    | RunCompleted
    | RequestRejected
    | WorkflowDefinition
)
"""Every record that stands alone on a topic."""

RECORDS: tuple[type[Record], ...] = typing.get_args(Record)
RECORD_BY_NAME: dict[str, type[Record]] = {record.__name__: record for record in RECORDS}
