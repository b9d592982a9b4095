"""Versions while somebody develops: a workflow that was changed under its label gets a label of its own.

In production a label with another content is refused (P38). Here runs that go on keep the content they began with, as
always: workers of this process know the new one only, so they are told so.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logkeel.cli.settings import Settings
from logkeel.log import LogClient
from logkeel.steps.definitions import published_digests

if TYPE_CHECKING:
    from logkeel.workflow import Workflow


def give_versions(client: LogClient, settings: Settings, workflows: "Sequence[Workflow[Any]]") -> list[str]:
    """Give each changed workflow the first free label `<version>.dev<number>`; returns what was relabelled.

    A content that was published before gets the label it had then. Raises `TopicMissing`, `LogUnavailable`.
    """
    published = published_digests(client, settings.names.workflow_definitions)
    return [changed for workflow in workflows if (changed := _give_version(workflow, published)) is not None]


def _give_version(workflow: "Workflow[Any]", published: Mapping[tuple[str, str], str]) -> str | None:
    asked = workflow.version
    number = 0
    while published.get((workflow.name, workflow.version), digest := workflow.definition().digest) != digest:
        number += 1
        workflow.version = f"{asked}.dev{number}"
    return None if number == 0 else f"{workflow.name}@{workflow.version}"
