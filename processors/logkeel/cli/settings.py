"""Configuration, read once at the edge: flag > environment (LOGKEEL_*) > TOML (logkeel.toml) > default.

An unknown key is an error. Options of the Kafka client go under `[kafka]`; those that correctness rests on are refused
by `logkeel.kafka`, and secrets are masked wherever settings are shown.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from logkeel.errors import ConfigInvalid
from logkeel.log import SESSION_TIMEOUT_MS
from logkeel.records.topics import TopicNames

ENVIRONMENT_PREFIX = "LOGKEEL_"
DEFAULT_FILE = Path("logkeel.toml")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an entry point needs to know. `state_dir` holds a process's tables and slot locks.

    `session_timeout_ms`: of engines and workers alike, how long a process may be silent before others take its
    partitions over. `stay`: a process that ends keeps its partitions until then, for a restart within seconds.
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
    kafka: dict[str, str | int | float | bool] = {}

    @property
    def names(self) -> TopicNames:
        """Topic and group names under the prefix."""
        return TopicNames(self.prefix)


def load_settings(
    flags: Mapping[str, Any], *, environment: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """Merge the sources. Flags that are None were not given. Raises `ConfigInvalid` naming source and key."""
    environment = os.environ if environment is None else environment
    merged = _from_file(file)
    merged |= _from_environment(environment)
    merged |= {key: value for key, value in flags.items() if value is not None}
    try:
        return msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(Settings.__struct_fields__)
        raise ConfigInvalid(f"a setting is wrong: {error}; known settings: {known}") from error


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
    names = {ENVIRONMENT_PREFIX + field.upper(): field for field in Settings.__struct_fields__ if field != "kafka"}
    return {field: environment[name] for name, field in names.items() if name in environment}
