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
    PutSchedule,
    ReleaseLimit,
    RequestRejected,
    ResolveStep,
    ResumeRun,
    RetryRun,
    RunCompleted,
    RunEvent,
    ScheduleEvent,
    SignalRun,
    StartRun,
    SteerSchedule,
    StepCommand,
    StepEmitted,
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
    | PutSchedule
    | SteerSchedule
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
    | ScheduleEvent
    | RunCompleted
    | RequestRejected
    | StepEmitted
    | WorkflowDefinition
)
"""Every record that stands alone on a topic."""

RECORDS: tuple[type[Record], ...] = typing.get_args(Record)
RECORD_BY_NAME: dict[str, type[Record]] = {record.__name__: record for record in RECORDS}
