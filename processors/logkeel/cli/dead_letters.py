"""`logkeel dead-letters list|show|redrive`: records that could not be processed, and sending them back once."""

import base64
from typing import Annotated, Any

import typer

from logkeel.cli.options import Bootstrap, Config, Output, Prefix
from logkeel.cli.output import Format, data, print_json, print_rows, say
from logkeel.cli.settings import Settings, broker_settings
from logkeel.errors import CallerError, LetterNotFound
from logkeel.exactly_once import Letter, Redriver, read_letters
from logkeel.kafka import SystemClock

app = typer.Typer(no_args_is_help=True, help="Records that could not be processed: see them, send them back.")

LONGEST_TEXT = 4_000


@app.command("list")
def show_list(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that were redriven.")] = False,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """List the letters that nobody redrove yet, the oldest first."""
    settings = broker_settings(bootstrap_servers, prefix, config)
    letters = [each for each in _read(settings) if every or each.redriven_at_ms is None]
    columns = ("id", "topic", "partition", "offset", "error", "message", "at_ms", "redriven_at_ms")
    print_rows(columns, [_row(each) for each in letters], output)
    say(f"{len(letters)} dead letters; one of them: logkeel dead-letters show ID")


@app.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="As `list` names it: partition:offset.")],
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Show one letter: where it came from, why it is here, and its bytes."""
    settings = broker_settings(bootstrap_servers, prefix, config)
    (found,) = _chosen(_read(settings), [letter])
    view = _view(found)
    if output is Format.JSON:
        print_json(view)
        return
    for name, value in view.items():
        data().print(f"{name:>16}  {value}", markup=False, soft_wrap=True)


@app.command()
def redrive(
    letters: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As `list` names them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not redriven yet.")] = False,
    error: Annotated[str | None, typer.Option(help="Only those with this error code.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Send letters back to where they came from, each exactly once; repeating it is harmless."""
    if bool(letters) == every:
        raise CallerError("say which letters: their ids, or --all; `logkeel dead-letters list` names them")
    settings = broker_settings(bootstrap_servers, prefix, config)
    from logkeel.cli.wiring import connect

    rows: list[tuple[Any, ...]] = []
    with Redriver(connect(settings), SystemClock(), settings.names.dead_letters) as redriver:
        found = redriver.letters()
        chosen = found if every else _chosen(found, letters or [])
        if error is not None:
            chosen = [each for each in chosen if each.error == error]
        try:
            redriver.redrive(chosen, on_done=lambda each: rows.append((each.name, "redriven", _place(each))))
        finally:
            done = {row[0] for row in rows}
            rest = [each for each in chosen if each.name not in done]
            rows += [(each.name, _left(each), _place(each)) for each in rest if not every or not each.sendable]
            print_rows(("id", "state", "to"), rows, output)
    say(f"{len(done)} letters were redriven")


def _read(settings: Settings) -> list[Letter]:
    from logkeel.cli.wiring import connect

    return read_letters(connect(settings), SystemClock(), settings.names.dead_letters)


def _chosen(letters: list[Letter], names: list[str]) -> list[Letter]:
    known = {each.name: each for each in letters}
    strange = [name for name in names if name not in known]
    if strange:
        raise LetterNotFound(
            f"there is no dead letter {', '.join(strange)}; `logkeel dead-letters list --all` names all of them",
            letters=strange,
        )
    return [known[name] for name in dict.fromkeys(names)]


def _left(letter: Letter) -> str:
    if not letter.sendable:
        return "a timer: nothing to send back" if letter.topic is None else "its value did not fit: see its place"
    return "redriven before" if letter.redriven_at_ms is not None else "not redriven"


def _place(letter: Letter) -> str | None:
    return None if letter.topic is None else f"{letter.topic}-{letter.origin_partition}"


def _row(letter: Letter) -> tuple[Any, ...]:
    place = (letter.topic or "(timer)", letter.origin_partition, letter.origin_offset)
    return letter.name, *place, letter.error, letter.message, letter.at_ms, letter.redriven_at_ms


def _view(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.name,
        "topic": letter.topic,
        "partition": letter.origin_partition,
        "offset": letter.origin_offset,
        "error": letter.error,
        "message": letter.message,
        "at_ms": letter.at_ms,
        "redriven_at_ms": letter.redriven_at_ms,
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers},
        "key": _readable(letter.key),
        "value_bytes": None if letter.value is None else len(letter.value),
        **_value(letter.value),
    }


def _value(value: bytes | None) -> dict[str, str]:
    """As text where it is text, else as base64; long ones are cut for the eye, the bytes stay on the topic."""
    if value is None:
        return {}
    text = _readable(value)
    if text is not None:
        return {"text": text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"}
    return {"base64": base64.b64encode(value).decode()}


def _readable(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable() else None
