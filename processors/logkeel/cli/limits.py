"""`logkeel limits list|show`: how limits stand, from the histories of all runs."""

from typing import Annotated, Any

import typer

from logkeel.cli.histories import history_of, time_ms
from logkeel.cli.options import Bootstrap, Config, Output, Prefix
from logkeel.cli.output import Format, print_json, print_rows, say
from logkeel.cli.settings import broker_settings
from logkeel.cli.times import ago
from logkeel.cli.wait_views import allowed
from logkeel.projection import AskerView, LimitStanding

app = typer.Typer(no_args_is_help=True, help="List and show limits that are held or waited for.")

COLUMNS = ("limit", "key", "allows", "held", "waiting", "longest")


@app.command("list")
def list_standing(
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """List limits that somebody holds or waits for."""
    found = history_of(broker_settings(bootstrap_servers, prefix, config), None).limits()
    now_ms = time_ms()
    if output is Format.JSON:
        print_json([as_json(each, now_ms) for each in found])
    else:
        print_rows(COLUMNS, [row(each, now_ms) for each in found], output)
    say(f"{len(found)} limits in use" + ("; one of them: logkeel limits show NAME" if found else ""))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The name of the limit.")],
    key: Annotated[str | None, typer.Option("--key", help="Only this one of its keys, as field=value.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    config: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """Show who holds slots of a limit and who waits, in the order of the line."""
    standings = history_of(broker_settings(bootstrap_servers, prefix, config), None).limits()
    found = [each for each in standings if each.limit.name == name and key in (None, each.limit.key)]
    now_ms = time_ms()
    if output is Format.JSON:
        print_json([as_json(each, now_ms) for each in found])
        return
    rows = [asker_row(each, asker, what, now_ms) for each in found for what, asker in _askers(each)]
    print_rows(("limit", "key", "run", "step", "", "since"), rows, output)
    if not found:
        say(f"nobody holds or waits for a limit {name!r}")


def row(standing: LimitStanding, now_ms: int) -> tuple[Any, ...]:
    """A line of the list, by `COLUMNS`."""
    limit, waiting = standing.limit, standing.waiting
    longest = ago(waiting[0].since_ms, now_ms) if waiting else None
    return limit.name, limit.key, allowed(limit), len(standing.holding), len(waiting), longest


def asker_row(standing: LimitStanding, asker: AskerView, what: str, now_ms: int) -> tuple[Any, ...]:
    """A line of `show`."""
    limit = standing.limit
    return limit.name, limit.key, asker.run_id, asker.path or None, what, ago(asker.since_ms, now_ms)


def as_json(standing: LimitStanding, now_ms: int) -> dict[str, Any]:
    """Everything that is known of a limit."""
    limit = standing.limit
    return {
        "kind": limit.kind,
        "name": limit.name,
        "key": limit.key,
        "allows": limit.allows,
        "per_ms": limit.per_ms,
        "holding": [_asker(each, now_ms) for each in standing.holding],
        "waiting": [_asker(each, now_ms) for each in standing.waiting],
    }


def _askers(standing: LimitStanding) -> list[tuple[str, AskerView]]:
    return [*(("holds", each) for each in standing.holding), *(("waits", each) for each in standing.waiting)]


def _asker(asker: AskerView, now_ms: int) -> dict[str, Any]:
    return {"run_id": asker.run_id, "path": asker.path, "since_ms": asker.since_ms, "for_ms": now_ms - asker.since_ms}
