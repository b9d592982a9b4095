"""The read model of runs as a file: projected from the log by one process, read by any, queried with SQL."""

from logkeel.readmodel.files import FILE_NAME
from logkeel.readmodel.paging import Filters
from logkeel.readmodel.projecting import Projector
from logkeel.readmodel.reading import Answer, Page, PlacedEvent, ReadModel, Reflects, RequestOutcome
from logkeel.readmodel.writer import Touched

__all__ = [
    "FILE_NAME",
    "Answer",
    "Filters",
    "Page",
    "PlacedEvent",
    "Projector",
    "ReadModel",
    "Reflects",
    "RequestOutcome",
    "Touched",
]
