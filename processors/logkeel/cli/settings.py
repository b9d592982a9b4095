"""Configuration, read once at the edge: flag > environment (LOGKEEL_*) > TOML (logkeel.toml) > default.

An unknown key is an error. Options of the Kafka client go under `[kafka]`; those that correctness rests on are refused
by `logkeel.kafka`, and secrets are masked wherever settings are shown.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from logkeel.cli.client_properties import BOOTSTRAP, read_properties
from logkeel.errors import ConfigInvalid
from logkeel.gateway.settings import GatewaySettings
from logkeel.log import SESSION_TIMEOUT_MS
from logkeel.records.limits import MAX_PAYLOAD_BYTES
from logkeel.records.topics import TopicNames

ENVIRONMENT_PREFIX = "LOGKEEL_"
DEFAULT_FILE = Path("logkeel.toml")

_TABLES = ("blob_options", "kafka")
"""Tables of TOML; what stands in them may be secret."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an entry point needs to know. `state_dir` holds a process's tables and slot locks.

    `session_timeout_ms`: of engines and workers alike, how long a process may be silent before others take its
    partitions over. `stay`: a process that ends keeps its partitions until then, for a restart within seconds.
    `metrics_port`: 0 serves no metrics (docs/observability.md).

    `slot`: of an engine; else `pod_name` says it (see `slots`). `probe_port`: 0 answers no probes (see `probes`).

    `kafka_config`: a `client.properties` with options of the Kafka client, by librdkafka's names or Java's; the table
    `kafka` has the same and wins. Neither says anything of the other settings but `bootstrap.servers`.

    Of workers and clients (docs/payloads.md): `payload_keys` is a file; `blob_store` is a URL, or several with commas,
    the first of which is written to; `blob_options` go to its file system.
    """

    bootstrap_servers: str = ""
    prefix: str = "logkeel"
    state_dir: str = ".logkeel"
    partitions: int = 4
    replication_factor: int = 1
    queue: str = "default"
    concurrency: int = 256
    log_level: str = "info"
    session_timeout_ms: int = SESSION_TIMEOUT_MS
    stay: bool = False
    slot: int | None = None
    pod_name: str = ""
    probe_host: str = "127.0.0.1"
    probe_port: int = 0
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"
    payload_compression: Literal["none", "zstd"] = "none"
    compress_above_bytes: int = 1_024
    payload_keys: str = ""
    blob_store: str = ""
    blob_above_bytes: int = MAX_PAYLOAD_BYTES
    blob_options: dict[str, str | int | float | bool] = {}
    kafka_config: str = ""
    kafka: dict[str, str | int | float | bool] = {}
    gateway: GatewaySettings = GatewaySettings()

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name not in _TABLES}
        masked = {name: dict.fromkeys(getattr(self, name), "***") for name in _TABLES}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in (shown | masked).items())})"

    @property
    def names(self) -> TopicNames:
        """Topic and group names under the prefix."""
        return TopicNames(self.prefix)


def load_settings(
    flags: Mapping[str, Any], *, environment: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """Merge the sources. Flags that are None were not given; those of the gateway stand under `gateway`.

    Raises `ConfigInvalid` naming source and key.
    """
    environment = os.environ if environment is None else environment
    merged = _from_file(file)
    merged |= _from_environment(environment)
    merged |= {key: value for key, value in flags.items() if value is not None and key != "gateway"}
    if isinstance(merged.get("gateway", {}), dict):
        given = {key: value for key, value in flags.get("gateway", {}).items() if value is not None}
        merged["gateway"] = merged.get("gateway", {}) | _gateway_from(environment) | given
    try:
        return _with_client_properties(msgspec.convert(merged, Settings, strict=False))
    except msgspec.ValidationError as error:
        known = ", ".join((*Settings.__struct_fields__, *(f"gateway.{n}" for n in GatewaySettings.__struct_fields__)))
        raise ConfigInvalid(f"a setting is wrong: {error}; known settings: {known}") from error


def _with_client_properties(settings: Settings) -> Settings:
    if not settings.kafka_config:
        return settings
    options = read_properties(Path(settings.kafka_config))
    servers = options.pop(BOOTSTRAP, "")
    return msgspec.structs.replace(
        settings,
        bootstrap_servers=settings.bootstrap_servers or servers,
        kafka={**options, **settings.kafka},
    )


def broker_settings(bootstrap_servers: str | None, prefix: str | None, config: Path | None) -> Settings:
    """Of a command that is told no more than broker, prefix and file. Raises as `load_settings`."""
    return load_settings({"bootstrap_servers": bootstrap_servers, "prefix": prefix}, file=config)


def _from_file(file: Path | None) -> dict[str, Any]:
    path = file or DEFAULT_FILE
    if not path.exists():
        if file is not None:
            raise ConfigInvalid(
                f"{file} does not exist; leave out --config or name an existing TOML file", file=str(file)
            )
        return {}
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{path} is not TOML: {error}", file=str(path)) from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    tables = (*_TABLES, "gateway")
    names = {ENVIRONMENT_PREFIX + field.upper(): field for field in Settings.__struct_fields__ if field not in tables}
    return {field: environment[name] for name, field in names.items() if name in environment}


def _gateway_from(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {f"{ENVIRONMENT_PREFIX}GATEWAY_{field.upper()}": field for field in GatewaySettings.__struct_fields__}
    return {field: environment[name] for name, field in names.items() if name in environment}
