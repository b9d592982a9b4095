"""A gateway of this process: alone, or beside engine and workers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Literal

from logkeel.cli.garbage import settle
from logkeel.cli.observing import tracing_calls
from logkeel.cli.output import say
from logkeel.cli.payloads import payload_chain
from logkeel.cli.read_models import read_models
from logkeel.cli.settings import Settings
from logkeel.cli.team import Team
from logkeel.errors import ConfigInvalid, PortTaken
from logkeel.exactly_once import take_slot
from logkeel.log import LogClient

if TYPE_CHECKING:
    from logkeel.gateway.serving import Gateway
    from logkeel.gateway.tracing import CallTracer

Presence = Literal["none", "may", "must"]
"""Whether a gateway is to be there; one that may be is left out where its port is taken or its packages are missing."""


@contextmanager
def opened_gateway(client: LogClient, settings: Settings, tracer: "CallTracer | None" = None) -> "Iterator[Gateway]":
    """A gateway that holds the lowest free slot of read models; it has not started. Raises as `Gateway`."""
    try:
        from logkeel.gateway.serving import Gateway
    except ModuleNotFoundError as error:
        raise ConfigInvalid(f"the gateway needs {error.name}: pip install 'logkeel[gateway]'") from error

    lock = take_slot(read_models(settings))
    try:
        made = Gateway(client, settings.names, payload_chain(settings), settings.gateway, lock.directory, tracer)
        with closing(made):
            yield made
    finally:
        lock.release()


@contextmanager
def gateway_beside(
    client: LogClient, settings: Settings, presence: Presence, tracer: "CallTracer | None" = None
) -> "Iterator[Gateway | None]":
    """A gateway beside engine and workers; None where there is to be none, or where it only may be and cannot."""
    with ExitStack() as opened:
        door = None
        if presence != "none":
            try:
                door = opened.enter_context(opened_gateway(client, settings, tracer))
            except (PortTaken, ConfigInvalid) as error:
                if presence == "must":
                    raise
                say(f"no gateway here: {error.message}")
        yield door


def run_gateway(settings: Settings, stop: threading.Event, *, ready: Callable[[str], None]) -> None:
    """Until `stop` is set; `ready` is told the address. Raises what ended it."""
    from logkeel.cli.wiring import connect

    with (
        tracing_calls("gateway") as tracer,
        opened_gateway(connect(settings), settings, tracer) as gateway,
        Team(stop) as team,
    ):
        gateway.start(team)
        settle()
        ready(gateway.address)
        team.wait(lambda: None)
