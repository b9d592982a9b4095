"""The author's API: state, steps, effects and flows. Knows nothing of Kafka and does no I/O."""

from logkeel.errors import DefinitionError, Fail, InvalidInput, NotDone, PayloadTooLarge, RetryAfter
from logkeel.workflow.annotations import Control, Reducer
from logkeel.workflow.binding import BoundCheck, BoundFunction, BoundStep
from logkeel.workflow.blocks import (
    FlowBlock,
    branch,
    each,
    human,
    leave,
    loop,
    parallel,
    rescue,
    sequence,
    sleep,
    wait_signal,
    within,
)
from logkeel.workflow.context import RunView, StepContext, StepErrorView, StepLogger
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.effects import CHECKED, IDEMPOTENT, KEYED, NONE, ONCE, EffectDeclaration
from logkeel.workflow.inlining import inline
from logkeel.workflow.reducers import Add, Append, Elements, Max, Min, Put, removed, replaced
from logkeel.workflow.resources import Resource
from logkeel.workflow.retry import Retry
from logkeel.workflow.state import State
from logkeel.workflow.steps import Happened, Step
from logkeel.workflow.timeouts import Timeout
from logkeel.workflow.workflow import Workflow

__all__ = [
    "Add",
    "Append",
    "BoundCheck",
    "BoundFunction",
    "BoundStep",
    "CHECKED",
    "Control",
    "DefinitionError",
    "Duration",
    "EffectDeclaration",
    "Elements",
    "Fail",
    "FlowBlock",
    "Happened",
    "IDEMPOTENT",
    "InvalidInput",
    "KEYED",
    "Max",
    "Min",
    "NONE",
    "NotDone",
    "ONCE",
    "PayloadTooLarge",
    "Put",
    "Reducer",
    "Resource",
    "Retry",
    "RetryAfter",
    "RunView",
    "State",
    "Step",
    "StepContext",
    "StepErrorView",
    "StepLogger",
    "Timeout",
    "Workflow",
    "branch",
    "each",
    "human",
    "inline",
    "leave",
    "loop",
    "parallel",
    "removed",
    "replaced",
    "rescue",
    "sequence",
    "sleep",
    "to_milliseconds",
    "wait_signal",
    "within",
]
