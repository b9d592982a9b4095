"""Runs: the pure core that decides, the rows that keep, and the run processor that puts both on the log."""

from logkeel.runs.processor.definitions import DefinitionReader
from logkeel.runs.processor.observing import RunObserver
from logkeel.runs.processor.run_processor import RunProcessor
from logkeel.runs.processor.settings import RunSettings

__all__ = ["DefinitionReader", "RunObserver", "RunProcessor", "RunSettings"]
