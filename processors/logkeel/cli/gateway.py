"""`logkeel gateway`: HTTP in front of the log; `logkeel gateway token`: a token for it."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from logkeel.cli.options import (
    BlobAbove,
    BlobStoreUrl,
    Bootstrap,
    Config,
    PayloadCompression,
    PayloadKeys,
    Prefix,
    StateDir,
)
from logkeel.cli.output import print_text, say
from logkeel.cli.settings import load_settings
from logkeel.cli.signals import stop_on_signals
from logkeel.errors import ConfigInvalid

app = typer.Typer(invoke_without_command=True, help="Serve HTTP: start, look at, steer and answer runs.")

TOKEN_BYTES = 32


@app.callback()
def gateway(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (8420).")] = None,
    tokens_file: Annotated[str | None, typer.Option(help="File of lines as `gateway token` prints them.")] = None,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    payload_keys: PayloadKeys = None,
    payload_compression: PayloadCompression = None,
    blob_store: BlobStoreUrl = None,
    blob_above: BlobAbove = None,
) -> None:
    """Serve HTTP until SIGTERM. On this machine alone unless tokens or OIDC are set; see docs/gateway.md."""
    if context.invoked_subcommand is not None:
        return
    from logkeel.cli.gateways import run_gateway
    from logkeel.cli.logs import configure_logs

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "log_level": log_level,
        "payload_keys": payload_keys,
        "payload_compression": payload_compression,
        "blob_store": blob_store,
        "blob_above_bytes": blob_above,
        "gateway": {"host": host, "port": port, "tokens_file": tokens_file},
    }
    settings = load_settings(flags, file=config)
    configure_logs(settings.log_level)
    stop = stop_on_signals()
    run_gateway(
        settings, stop, ready=lambda address: say(f"gateway on {address}; its description: {address}/openapi.json")
    )
    say("stopped; everything it knows is on the log")


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Who it is for; stands in the history of what they answer.")],
    roles: Annotated[list[str], typer.Argument(help="viewer, operator, approver or admin; several.")],
    file: Annotated[Path | None, typer.Option(help="Append its line to this list.")] = None,
) -> None:
    """Make a token. It is printed once; the list keeps its hash."""
    from logkeel.gateway.access import Role, token_line

    unknown = sorted(set(roles) - set(Role))
    if unknown or ":" in name:
        raise ConfigInvalid(f"roles are {', '.join(Role)}, and a name has no colon; not {', '.join(unknown) or name}")
    made = secrets.token_urlsafe(TOKEN_BYTES)
    line = token_line(name, [Role(word) for word in roles], made)
    if file is None:
        say(f"its line for gateway.tokens_file: {line}")
    else:
        with file.open("a") as lines:
            lines.write(line + "\n")
    print_text(made)
