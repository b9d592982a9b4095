"""`logkeel run follow`: what happens to a run, and what its steps emit, a line each until it ends."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import msgspec
import typer

from logkeel.cli import run_views
from logkeel.cli.options import Bootstrap, Config, Output, Prefix, RunId
from logkeel.cli.output import Format, data, print_json, say
from logkeel.cli.payloads import payload_chain
from logkeel.cli.settings import broker_settings
from logkeel.cli.texts import one_line
from logkeel.cli.times import duration
from logkeel.cli.watching import POLL_S, first_events
from logkeel.client import Emitted, StreamReader
from logkeel.client.streams import LAST_WORDS_S
from logkeel.projection import HistoryReader, documents
from logkeel.records import RunEvent

app = typer.Typer()


@app.command()
def follow(
    run_id: RunId,
    after: Annotated[str | None, typer.Option("--after", help="Emitted values behind this place only.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Follow a run until it ends: its events, and beside them what its steps emit (tokens, progress)."""
    from logkeel.cli.wiring import connect

    settings = broker_settings(bootstrap_servers, prefix, config)
    client = connect(settings)
    chain = payload_chain(settings)
    with (
        closing(HistoryReader(client, settings.names, run_id=run_id)) as history,
        closing(StreamReader(client, settings.names, run_id, after=after, payloads=chain)) as stream,
    ):
        began_ms: int | None = None
        for batch in _followed(history, stream, run_id):
            for each in batch:
                began_ms = each.at_ms if began_ms is None else began_ms
                _print(each, began_ms, output)
        say(f"run {run_id} {history.projection.get(run_id).status}")


def _followed(history: HistoryReader, stream: StreamReader, run_id: str) -> Iterator[list[RunEvent | Emitted]]:
    """Rounds of what has come, in the order of their times."""
    events: list[RunEvent] = first_events(history, run_id)
    emitted = stream.poll(POLL_S)
    while history.projection.get(run_id).status == "running":
        yield _in_order(events, emitted)
        emitted = stream.poll(POLL_S / 2)
        events = history.poll(POLL_S / 2)
    until_s = time.monotonic() + LAST_WORDS_S
    while time.monotonic() < until_s:
        emitted += stream.poll(POLL_S / 2)
    end = stream.end()
    while not stream.reached(end):
        emitted += stream.poll(POLL_S)
    yield _in_order(events, emitted)


def _in_order(events: list[RunEvent], emitted: list[Emitted]) -> list[RunEvent | Emitted]:
    mixed: list[RunEvent | Emitted] = [*events, *emitted]
    return sorted(mixed, key=lambda each: each.at_ms)


def _print(each: RunEvent | Emitted, began_ms: int, output: Format) -> None:
    if output is Format.JSON:
        print_json(documents.event_json(each) if isinstance(each, RunEvent) else emitted_json(each))
    else:
        text = run_views.event_text(each, began_ms) if isinstance(each, RunEvent) else emitted_text(each, began_ms)
        data().print(text, markup=False, soft_wrap=True)


def emitted_json(emitted: Emitted) -> dict[str, object]:
    """Everything of an emitted value; `kind` is that of an event."""
    return {"kind": "emitted", **msgspec.to_builtins(emitted)}


def emitted_text(emitted: Emitted, began_ms: int) -> str:
    """A line for people."""
    missing = f" ({emitted.dropped} missing)" if emitted.dropped else ""
    place = f"{emitted.path} (attempt {emitted.attempt}, dispatch {emitted.dispatch})"
    value = emitted.value if isinstance(emitted.value, str) else msgspec.json.encode(emitted.value).decode()
    return f"{duration(emitted.at_ms - began_ms):>8}  emitted  {one_line(place)}:{missing} {one_line(value)}"
