"""Publishes what an application declares: its workflows, and behind them their schedules."""

from collections.abc import Sequence
from typing import Any

from logkeel.cli.payloads import payload_chain
from logkeel.cli.settings import Settings
from logkeel.log import LogClient
from logkeel.steps import publish_definitions
from logkeel.workflow import Workflow


def publish(client: LogClient, settings: Settings, workflows: "Sequence[Workflow[Any]]") -> None:
    """Publish what is not published yet, and put every schedule; the same once more changes nothing.

    Raises as `publish_definitions` and `Client.start`.
    """
    publish_definitions(client, settings.names, workflows)
    schedules = [schedule for workflow in workflows for schedule in workflow.schedules.values()]
    if schedules:
        from logkeel.client import Client

        with Client(client, prefix=settings.prefix, payloads=payload_chain(settings)) as sender:
            sender.schedules.put_all(schedules)
