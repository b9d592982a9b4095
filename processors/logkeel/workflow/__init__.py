"""The author's API: state, steps, effects and flows. Knows nothing of Kafka and does no I/O."""

from logkeel.errors import (
    CallFailed,
    DefinitionError,
    Fail,
    InvalidInput,
    JournalDiverged,
    NotDone,
    PayloadTooLarge,
    RetryAfter,
)
from logkeel.workflow.annotations import Control, Reducer
from logkeel.workflow.binding import BoundCheck, BoundFunction, BoundStep
from logkeel.workflow.blocks import (
    FlowBlock,
    branch,
    child,
    each,
    human,
    leave,
    loop,
    parallel,
    reduce,
    rescue,
    sequence,
    sleep,
    wait_signal,
    within,
)
from logkeel.workflow.budgets import Budget
from logkeel.workflow.context import RunView, StepContext, StepErrorView, StepLogger
from logkeel.workflow.current import current_step
from logkeel.workflow.durable import Durable, durable
from logkeel.workflow.durable_code import Answered, Asking, CallOptions, ChildOptions, DurableCalls, DurableCode
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.effects import CHECKED, IDEMPOTENT, KEYED, NONE, ONCE, EffectDeclaration
from logkeel.workflow.inlining import inline
from logkeel.workflow.limits import Concurrency, Rate
from logkeel.workflow.reducers import Add, Append, Elements, Max, Min, Put, removed, replaced
from logkeel.workflow.resources import Resource
from logkeel.workflow.retry import Retry
from logkeel.workflow.saga import saga
from logkeel.workflow.scheduling import Schedule
from logkeel.workflow.state import State
from logkeel.workflow.steps import Happened, Step
from logkeel.workflow.timeouts import Timeout
from logkeel.workflow.workflow import Workflow

__all__ = [
    "Add",
    "Answered",
    "Append",
    "Asking",
    "BoundCheck",
    "BoundFunction",
    "BoundStep",
    "Budget",
    "CHECKED",
    "CallFailed",
    "CallOptions",
    "ChildOptions",
    "Concurrency",
    "Control",
    "DefinitionError",
    "Durable",
    "DurableCalls",
    "DurableCode",
    "Duration",
    "EffectDeclaration",
    "Elements",
    "Fail",
    "FlowBlock",
    "Happened",
    "IDEMPOTENT",
    "InvalidInput",
    "JournalDiverged",
    "KEYED",
    "Max",
    "Min",
    "NONE",
    "NotDone",
    "ONCE",
    "PayloadTooLarge",
    "Put",
    "Rate",
    "Reducer",
    "Resource",
    "Retry",
    "RetryAfter",
    "RunView",
    "Schedule",
    "State",
    "Step",
    "StepContext",
    "StepErrorView",
    "StepLogger",
    "Timeout",
    "Workflow",
    "branch",
    "child",
    "current_step",
    "durable",
    "each",
    "human",
    "inline",
    "leave",
    "loop",
    "parallel",
    "reduce",
    "removed",
    "replaced",
    "rescue",
    "saga",
    "sequence",
    "sleep",
    "to_milliseconds",
    "wait_signal",
    "within",
]
