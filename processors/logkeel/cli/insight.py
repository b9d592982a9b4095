"""`logkeel insight`: rates, durations, errors and stuck runs, out of what engines write."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from logkeel.cli.options import (
    Bootstrap,
    Config,
    KafkaConfig,
    MetricsHost,
    MetricsPort,
    Prefix,
    ProbeHost,
    ProbePort,
    StateDir,
)
from logkeel.cli.output import say
from logkeel.cli.settings import Settings, load_settings
from logkeel.cli.signals import stop_on_signals
from logkeel.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from logkeel.insight.application import InsightSettings
    from logkeel.insight.standing import Stuck

app = typer.Typer()


@app.command("insight")
def insight(
    window: Annotated[str, typer.Option(help="Length of a window.")] = "1m",
    keep: Annotated[str, typer.Option(help="How long windows and clusters of errors are kept.")] = "6h",
    sweep: Annotated[str, typer.Option(help="How often stuck runs are looked for.")] = "10s",
    pickup: Annotated[str, typer.Option(help="Stuck: a step that no worker has begun for so long.")] = "5m",
    running: Annotated[str, typer.Option(help="Stuck: a step that has run for so long.")] = "1h",
    limit: Annotated[str, typer.Option(help="Stuck: a step that has waited for a limit for so long.")] = "15m",
    human: Annotated[str, typer.Option(help="Stuck: a question, or a step in doubt, open for so long.")] = "1d",
    outside: Annotated[str, typer.Option(help="Stuck: a signal or child run waited for so long.")] = "1d",
    late: Annotated[str, typer.Option(help="Stuck: a timer that is so late.")] = "1m",
    alert_url: Annotated[str | None, typer.Option(help="Webhook that hears of runs that are stuck.")] = None,
    alert_key: Annotated[
        str, typer.Option("--alert-secret-env", help="Variable with the webhook's whsec_… secret.")
    ] = "LOGKEEL_INSIGHT_SECRET",
    alert_private: Annotated[bool, typer.Option(help="The webhook may lie in a private network.")] = False,
    bootstrap_servers: Bootstrap = None,
    prefix: Prefix = None,
    state_dir: StateDir = None,
    config: Config = None,
    kafka_config: KafkaConfig = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    probe_port: ProbePort = None,
    probe_host: ProbeHost = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
) -> None:
    """Watch runs until SIGTERM. Needs the extra `insight`; at least once, beside the engines."""
    from logkeel.cli.logs import configure_logs
    from logkeel.cli.observing import watching
    from logkeel.cli.probes import Health, offer_probes
    from logkeel.cli.watchdog import ENGINE_LIMIT_S, watch
    from logkeel.cli.wiring import connect, located

    flags = {
        "bootstrap_servers": bootstrap_servers,
        "prefix": prefix,
        "state_dir": state_dir,
        "kafka_config": kafka_config,
        "log_level": log_level,
        "probe_port": probe_port,
        "probe_host": probe_host,
        "metrics_port": metrics_port,
        "metrics_host": metrics_host,
    }
    settings = located(load_settings(flags, file=config))
    times = {"window": window, "keep": keep, "sweep": sweep, "pickup": pickup, "running": running}
    times |= {"limit": limit, "human": human, "outside": outside, "late": late}
    wanted = insight_settings(settings, times)
    tell = None if alert_url is None else _telling(alert_url, alert_key, allow_private=alert_private)
    configure_logs(settings.log_level)

    from logkeel.insight.application import Insight
    from logkeel.insight.service import Cluster, run

    stop = stop_on_signals()
    wanted.directory.mkdir(parents=True, exist_ok=True)
    client = connect(settings)
    admin = client.admin()
    try:
        made = Insight(wanted, Cluster(admin, settings.names, tell))
        with watching(client, settings, "insight") as seen:
            seen.insight_made(made)
            say(f"insight of {settings.prefix!r}; windows of {window}, swept every {sweep}")
            watch(stop, ENGINE_LIMIT_S)
            offer_probes(Health(stop, ENGINE_LIMIT_S, lambda: made.is_ready), settings.probe_host, settings.probe_port)
            run(made, stop)
    finally:
        admin.close()
    say("insight has stopped")


def insight_settings(settings: Settings, times: dict[str, str]) -> "InsightSettings":
    """Out of settings and durations. Raises `ConfigInvalid` if the extra is missing, or a duration is none."""
    try:
        from logkeel.insight.application import InsightSettings
        from logkeel.insight.login import credentials_of
    except ImportError as error:
        raise ConfigInvalid(f"{error.name} is not installed: pip install 'logkeel[insight]'") from error
    from logkeel.insight.folding import Windows
    from logkeel.insight.standing import Patience

    ms = {name: _milliseconds(name, text) for name, text in times.items()}
    if ms["keep"] < 2 * ms["window"]:
        raise ConfigInvalid(f"--keep {times['keep']} is less than two windows of {times['window']}")
    return InsightSettings(
        names=settings.names,
        bootstrap_servers=settings.bootstrap_servers,
        directory=Path(settings.state_dir) / "insight",
        credentials=credentials_of(settings.kafka),
        session_timeout_ms=settings.session_timeout_ms,
        sweep_ms=ms["sweep"],
        windows=Windows(length_ms=ms["window"], kept_ms=ms["keep"]),
        patience=Patience(
            pickup_ms=ms["pickup"],
            running_ms=ms["running"],
            limit_ms=ms["limit"],
            human_ms=ms["human"],
            outside_ms=ms["outside"],
            late_ms=ms["late"],
        ),
    )


def _milliseconds(name: str, text: str) -> int:
    from logkeel.workflow import to_milliseconds

    try:
        found = to_milliseconds(text)
    except ValueError as error:
        raise ConfigInvalid(f"--{name} {text}: {error}") from error
    if found <= 0:
        raise ConfigInvalid(f"--{name} {text} is no length of time")
    return found


def _telling(url: str, secret_env: str, *, allow_private: bool) -> "Callable[[Stuck], bool]":
    """Sends a standstill as a webhook, signed as the notifier's. Raises `ConfigInvalid`."""
    from logkeel.insight.alerts import body_of, id_of
    from logkeel.notify.cases import Delivered, Refused
    from logkeel.notify.config import Hook
    from logkeel.notify.webhooks import HookChannel

    if not os.environ.get(secret_env):
        raise ConfigInvalid(f"the environment has no {secret_env}, which alerts are signed with", name=secret_env)
    channel = HookChannel(Hook(url=url, secret_env=secret_env, allow_private=allow_private), os.environ)

    def tell(stuck: "Stuck") -> bool:
        # What the endpoint refuses for good is not sent again; anything else with the next sweep.
        return isinstance(channel.post(id_of(stuck), body_of(stuck)), Delivered | Refused)

    return tell
