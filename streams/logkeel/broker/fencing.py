"""Has a node that was alone and was killed forgotten as a leader before it starts again.

A killed node comes back with the metadata of its last life, in which it leads every partition. Its transaction
coordinator takes up the commits that were under way and sends markers to itself, in vain until the node is fenced:
then, for a moment, no partition has a leader. From Kafka 4.1 on the coordinator takes that for "topic deleted", and
calls the transaction complete without a marker (KAFKA-20734): what it wrote can never be read. So the controller is
run alone first, with a session time-out so short that it fences the broker at once; the node then starts with metadata
in which it leads nothing, gets its partitions back in one step, and the markers follow.

Must not: fail a start. If the node is not fenced in time it starts as Kafka itself would start it. See decision 0045.
"""

import os
from functools import partial
from pathlib import Path
from typing import Final

from logkeel.broker.runtime import Runtime
from logkeel.broker.settings import BrokerSettings
from logkeel.broker.spawning import Spawn, until

_FENCED: Final = "Fencing broker"
_TOLD_BY: Final = ("-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller.ReplicationControlManager=info",)
_HEAP_MB: Final = 256
_TIMEOUT_S: Final = 30.0
_WRITES: Final = 2
"""Kafka says that it fences, then appends that. The next write may be of what was appended before; the one after that
is not, as the controller's idle records come one at a time. An orderly stop would not do: it drops what waits."""


def needs_fencing(settings: BrokerSettings) -> bool:
    """Whether this is a node that is alone, has lived before, and was not stopped in order."""
    lived = bool(_metadata_log(settings))
    return settings.member is None and lived and not (settings.log_dir / ".kafka_cleanshutdown").exists()


def fence(settings: BrokerSettings, runtime: Runtime, spawn: Spawn, lock: int) -> None:
    """Run the controller alone until it has fenced the broker and this is on its log; some 30 s at most."""
    properties = settings.data_dir / "fencing.properties"
    properties.touch(mode=0o600)  # it may hold passwords
    properties.write_text(settings.controller_text(), encoding="utf-8")
    log = settings.data_dir / "fencing.log"
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        process = spawn(runtime.command(properties, heap_mb=_HEAP_MB, java_options=_TOLD_BY), output, lock)
    finally:
        os.close(output)
    try:
        if until(lambda: _FENCED in log.read_text(encoding="utf-8", errors="replace"), process, _TIMEOUT_S):
            for _ in range(_WRITES):
                until(partial(_grew, settings, _size_bytes(settings)), process, _TIMEOUT_S)
    finally:
        process.end_now()


def _grew(settings: BrokerSettings, before_bytes: int) -> bool:
    return _size_bytes(settings) > before_bytes


def _size_bytes(settings: BrokerSettings) -> int:
    return sum(path.stat().st_size for path in _metadata_log(settings))


def _metadata_log(settings: BrokerSettings) -> list[Path]:
    return list((settings.log_dir / "__cluster_metadata-0").glob("*.log"))
