"""Forms of answers for the notifier's pages, from the published definitions; each is read once."""

from collections.abc import Sequence
from typing import Any

from logkeel.approvals.forms import Schema, problems_of
from logkeel.cli.form_reading import read_form
from logkeel.log import LogClient
from logkeel.notify.cases import Case
from logkeel.records.topics import TopicNames


class PublishedForms:
    """Implements `logkeel.notify.replies.Forms`. A definition never changes, so what was found is kept."""

    def __init__(self, client: LogClient, names: TopicNames) -> None:
        self._client = client
        self._names = names
        self._found: dict[tuple[str, str], Schema] = {}

    def schema(self, case: Case) -> Schema | None:
        """Of the question's block; None for a question of code, and for a definition that is not published any more."""
        key = (case.definition_digest, case.question.path)
        if key not in self._found:
            schema = read_form(self._client, self._names, *key).schema
            if schema is None:
                return None
            self._found[key] = schema
        return self._found[key]

    def problems(self, value: Any, schema: Schema) -> Sequence[str]:
        """One line for each."""
        return problems_of(value, schema)
