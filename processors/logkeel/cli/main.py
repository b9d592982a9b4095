"""The command `logkeel`: assembles the sub-applications and turns errors into exit codes.

Only the room of the command that is asked for is imported, so that `logkeel broker status` loads no client and no
tables. To add commands, add a line to `SECTIONS`: a sub-application with commands of its own, or one whose commands
stand at the top level.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import typer

from logkeel.cli.output import say
from logkeel.errors import LogkeelError


@dataclass(frozen=True, slots=True)
class Section:
    """A module with a typer application `app`; `grouped`: its commands stand below the section's name."""

    module: str
    grouped: bool = True


SECTIONS: Final[Mapping[str, Section]] = {
    "broker": Section("logkeel.cli.broker"),
    "topics": Section("logkeel.cli.topics"),
    "engine": Section("logkeel.cli.engine", grouped=False),
    "worker": Section("logkeel.cli.worker", grouped=False),
    "serve": Section("logkeel.cli.serve", grouped=False),
    "run": Section("logkeel.cli.run"),
    "replay": Section("logkeel.cli.replay", grouped=False),
    "workflow": Section("logkeel.cli.workflow"),
    "approvals": Section("logkeel.cli.approvals"),
    "notifier": Section("logkeel.cli.notifier", grouped=False),
    "insight": Section("logkeel.cli.insight", grouped=False),
    "sql": Section("logkeel.cli.sql", grouped=False),
    "gateway": Section("logkeel.cli.gateway"),
    "limits": Section("logkeel.cli.limits"),
    "schedule": Section("logkeel.cli.schedules"),
    "state": Section("logkeel.cli.state"),
    "dead-letters": Section("logkeel.cli.dead_letters"),
    "init": Section("logkeel.cli.init", grouped=False),
    "dev": Section("logkeel.cli.dev", grouped=False),
    "doctor": Section("logkeel.cli.doctor", grouped=False),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit code (see the error tree for those of errors)."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        assemble(sections_for(arguments))(args=list(arguments), prog_name="logkeel")
    except LogkeelError as error:
        say(f"{error.code}: {error.message}")
        sys.exit(error.exit_code)


def run() -> None:
    """`main` as a process: it ends soon after its command has, whatever still runs in threads of user code."""
    from logkeel.cli.beginning import log_without_rich
    from logkeel.cli.ending import end_within
    from logkeel.cli.garbage import collect_rarely

    collect_rarely()
    log_without_rich()
    try:
        main()
    except SystemExit as ending:
        end_within(ending.code if isinstance(ending.code, int) else int(ending.code is not None))
        raise


def sections_for(arguments: Sequence[str], sections: Mapping[str, Section] = SECTIONS) -> list[str]:
    """Names of the sections to import: the one that is asked for, or all of them (help, an unknown command)."""
    first = next((argument for argument in arguments if not argument.startswith("-")), None)
    return [first] if first is not None and first in sections else list(sections)


def assemble(names: Sequence[str], sections: Mapping[str, Section] = SECTIONS) -> typer.Typer:
    """The application made of these sections."""
    root = typer.Typer(
        name="logkeel", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, callback=_root
    )
    for name in names:
        section = sections[name]
        app: typer.Typer = importlib.import_module(section.module).app
        if section.grouped:
            root.add_typer(app, name=name)
        else:
            root.registered_commands.extend(app.registered_commands)
    return root


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("logkeel"))
        raise typer.Exit


def _root(
    *,
    show_version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_print_version, is_eager=True
    ),
) -> None:
    """Durable AI-agent workflows on Apache Kafka."""


if __name__ == "__main__":
    run()
