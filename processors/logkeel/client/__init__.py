"""Starts runs, waits for them and speaks to them. Needs a `LogClient`; `logkeel.cli.wiring.connect` makes Kafka's."""

from logkeel.client.answers import Answer
from logkeel.client.asynchronous import AsyncClient, AsyncRunHandle
from logkeel.client.client import Client, RunHandle
from logkeel.client.deciding import Decision
from logkeel.client.forking import ForkOptions, NewConversation
from logkeel.client.streams import Emitted, StreamReader

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncRunHandle",
    "Client",
    "Decision",
    "Emitted",
    "ForkOptions",
    "NewConversation",
    "RunHandle",
    "StreamReader",
]
