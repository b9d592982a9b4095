"""The step worker: claims commands, runs the author's steps, reports what became of them."""

from logkeel.steps.definitions import publish_definitions
from logkeel.steps.observing import StepObserver
from logkeel.steps.worker import StepWorker, WorkerOptions

__all__ = ["StepObserver", "StepWorker", "WorkerOptions", "publish_definitions"]
