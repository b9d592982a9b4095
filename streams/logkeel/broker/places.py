"""Where the embedded broker keeps what it fetched and made; decides paths, touches nothing.

Invariant: everything below the cache directory can be deleted at any time and is made again.
"""

from collections.abc import Mapping
from pathlib import Path


def cache_directory(environment: Mapping[str, str], home: Path) -> Path:
    """`LOGKEEL_CACHE`, else `logkeel` in the XDG cache directory, else `~/.cache/logkeel`."""
    own = environment.get("LOGKEEL_CACHE")
    if own:
        return Path(own).expanduser()
    xdg = environment.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else home / ".cache") / "logkeel"


def default_data_directory(environment: Mapping[str, str], home: Path) -> Path:
    """Data directory of `logkeel broker start`: `LOGKEEL_BROKER_DATA`, else the XDG data directory."""
    own = environment.get("LOGKEEL_BROKER_DATA")
    if own:
        return Path(own).expanduser()
    xdg = environment.get("XDG_DATA_HOME")
    return (Path(xdg) if xdg else home / ".local" / "share") / "logkeel" / "broker"
