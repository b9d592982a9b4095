"""A read model of runs: the fold of `run-events`, in memory."""

from logkeel.projection.budgets import AccountView
from logkeel.projection.following import HistoryReader
from logkeel.projection.limits import AskerView, LimitStanding, LimitView, SlotView
from logkeel.projection.projection import Projection
from logkeel.projection.questions import OpenQuestion
from logkeel.projection.schedules import ScheduleView
from logkeel.projection.views import FieldView, Phase, RunView, StepFailure, StepView
from logkeel.projection.waits import AnswerView, WaitView

__all__ = [
    "AccountView",
    "AnswerView",
    "AskerView",
    "FieldView",
    "HistoryReader",
    "LimitStanding",
    "LimitView",
    "OpenQuestion",
    "Phase",
    "Projection",
    "RunView",
    "ScheduleView",
    "SlotView",
    "StepFailure",
    "StepView",
    "WaitView",
]
