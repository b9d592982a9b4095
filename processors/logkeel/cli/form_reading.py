"""Reads the form of an answer from the published definitions, and holds an answer against it."""

import time
from typing import Any

from logkeel.approvals.forms import Form, form_of, refuse_misfit
from logkeel.cli.settings import Settings
from logkeel.errors import LogTimeout
from logkeel.log import LogClient
from logkeel.projection import RunView, WaitView
from logkeel.records import WorkflowDefinition
from logkeel.records.topics import TopicNames
from logkeel.runs import DefinitionReader

READ_S = 30.0
POLL_S = 0.2


def read_form(client: LogClient, names: TopicNames, digest: str, path: str) -> Form:
    """The form of the question at `path` of runs of the definition `digest`. Raises `LogTimeout`, `TopicMissing`."""
    admin = client.admin()
    reader = DefinitionReader(client.reader("read_committed"), admin, names.workflow_definitions)
    try:
        deadline_s = time.monotonic() + READ_S
        while not reader.caught_up:
            reader.poll(POLL_S)
            if time.monotonic() > deadline_s:
                raise LogTimeout(f"the definitions could not be read in {READ_S:.0f} s")
        found = [each.value for each in reader.current() if isinstance(each.value, WorkflowDefinition)]
    finally:
        reader.close()
        admin.close()
    return next((form_of(each.document, path) for each in found if each.digest == digest), Form())


def form_for(settings: Settings, digest: str, path: str) -> Form:
    """As `read_form`, of the application that the settings name."""
    from logkeel.cli.wiring import connect

    return read_form(connect(settings), settings.names, digest, path)


def refuse_unfit_value(settings: Settings, view: RunView, question: WaitView, value: Any) -> None:
    """Raise `InvalidInput` if the answer does not fit the form of this question, and as `read_form` does."""
    form = form_for(settings, view.definition_digest, question.path)
    refuse_misfit(value, form.schema, where=f"logkeel approvals show {view.run_id} --path {question.path}")
