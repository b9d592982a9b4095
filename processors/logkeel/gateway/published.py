"""Definitions as they are published, read again when they may have changed. Blocks; safe for several threads."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from logkeel.approvals.forms import Form, form_of
from logkeel.client.published import published
from logkeel.definitions import WorkflowDocument, decode_document
from logkeel.log import LogClient
from logkeel.records import WorkflowDefinition
from logkeel.records.topics import TopicNames

FRESH_S: Final = 5.0
"""Definitions change when workers of a new version start."""


class Published:
    """What stands on `workflow-definitions`."""

    def __init__(self, log_client: LogClient, names: TopicNames, monotonic_s: Callable[[], float]) -> None:
        self._log = log_client
        self._names = names
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._found: Sequence[WorkflowDefinition] = ()
        self._read_s: float | None = None

    def all(self) -> Sequence[WorkflowDefinition]:
        """All of them, the oldest first. Raises `TopicMissing`, `LogUnavailable`."""
        with self._lock:
            now_s = self._monotonic_s()
            if self._read_s is None or now_s - self._read_s > FRESH_S:
                self._found = published(self._log, self._names)
                self._read_s = now_s
            return self._found

    def document(self, digest: str) -> WorkflowDocument | None:
        """The definition with this digest; None if it is not published any more."""
        return next((decode_document(each.document) for each in self.all() if each.digest == digest), None)

    def form(self, digest: str, path: str) -> Form:
        """The form of a question at this path of runs of this definition; an empty one if it is not published."""
        return next((form_of(each.document, path) for each in self.all() if each.digest == digest), Form())
