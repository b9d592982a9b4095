"""The record types that stand alone on a topic."""

import typing

from logkeel.records import (
    AcquireLimit,
    AnswerQuestion,
    CancelRun,
    ChildCompleted,
    ForkRun,
    LimitAnswered,
    PauseRun,
    ReleaseLimit,
    RequestRejected,
    ResolveStep,
    ResumeRun,
    RetryRun,
    RunCompleted,
    RunEvent,
    SignalRun,
    StartRun,
    StepCommand,
    StepFailed,
    StepHeartbeat,
    StepJournaled,
    StepNeedsState,
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
    | RetryRun
    | ForkRun
    | AcquireLimit
    | ReleaseLimit
    | StepCommand
    | StepRevoked
    | StepHeartbeat
    | StepSucceeded
    | StepFailed
    | StepReclaimed
    | StepReleased
    | StepRefused
    | StepNeedsState
    | StepJournaled
    | StepSuspended
    | ChildCompleted
    | LimitAnswered
    | RunEvent
    | RunCompleted
    | RequestRejected
    | WorkflowDefinition
)
"""Every record that stands alone on a topic."""

RECORDS: tuple[type[Record], ...] = typing.get_args(Record)
RECORD_BY_NAME: dict[str, type[Record]] = {record.__name__: record for record in RECORDS}
