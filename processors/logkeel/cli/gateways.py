"""A gateway of this process: alone, or beside engine and workers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from logkeel.cli.payloads import payload_chain
from logkeel.cli.read_models import read_models
from logkeel.cli.settings import Settings
from logkeel.cli.team import Team
from logkeel.exactly_once import take_slot
from logkeel.log import LogClient

if TYPE_CHECKING:
    from logkeel.gateway.serving import Gateway


@contextmanager
def opened_gateway(client: LogClient, settings: Settings) -> "Iterator[Gateway]":
    """A gateway that holds the lowest free slot of read models; it has not started. Raises as `Gateway`."""
    from logkeel.gateway.serving import Gateway

    lock = take_slot(read_models(settings))
    try:
        made = Gateway(client, settings.names, payload_chain(settings), settings.gateway, lock.directory)
        with closing(made):
            yield made
    finally:
        lock.release()


def run_gateway(settings: Settings, stop: threading.Event, *, ready: Callable[[str], None]) -> None:
    """Until `stop` is set; `ready` is told the address. Raises what ended it."""
    from logkeel.cli.wiring import connect

    with opened_gateway(connect(settings), settings) as gateway, Team(stop) as team:
        gateway.start(team)
        ready(gateway.address)
        team.wait(lambda: None)
