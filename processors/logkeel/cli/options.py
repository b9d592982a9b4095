"""Options that several commands share. None means not given: environment, TOML or default apply."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from logkeel.cli.output import Format

Bootstrap: TypeAlias = Annotated[
    str | None, typer.Option("--bootstrap-servers", "-b", help="Kafka brokers, host:port,… (LOGKEEL_BOOTSTRAP_SERVERS)")
]
Prefix: TypeAlias = Annotated[str | None, typer.Option("--prefix", help="Application: prefix of topics and groups.")]
StateDir: TypeAlias = Annotated[str | None, typer.Option("--state-dir", help="Folder for tables and slot locks.")]
Config: TypeAlias = Annotated[Path | None, typer.Option("--config", help="TOML file (default: logkeel.toml).")]
Stay: TypeAlias = Annotated[
    bool | None,
    typer.Option("--stay/--leave", help="When ending, keep the partitions for a restart, or hand them over (default)."),
]
Output: TypeAlias = Annotated[Format, typer.Option("--output", "-o", help="How data is printed on standard output.")]
