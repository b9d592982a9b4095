"""Puts ports and rooms together: the one place of the command line that knows Kafka and RocksDB.

The rooms of a role load where it is made: a worker starts sooner without an engine's, and the other way round.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from logkeel.cli.provisioning import DELETE_RETENTION_MS
from logkeel.cli.settings import Settings
from logkeel.errors import PartitionCountChanged
from logkeel.exactly_once import CommitListener, LoopPorts, LoopSettings, Observer, Repair, SlotLock, TransactionalLoop
from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.log import LogClient, all_described

if TYPE_CHECKING:
    from logkeel.cli.observing import Watch
    from logkeel.notify.service import NotifierParts
    from logkeel.steps import StepWorker
    from logkeel.workflow import Workflow


def connect(settings: Settings) -> KafkaLogClient:
    """The cluster the settings name, or the broker that runs here. Nothing is sent yet. Raises `ConfigInvalid`."""
    return KafkaLogClient(located(settings).bootstrap_servers, settings.kafka)


def located(settings: Settings) -> Settings:
    """The settings with an address: without one, of the broker that `logkeel dev` or `logkeel broker` runs here."""
    if settings.bootstrap_servers:
        return settings
    from logkeel.broker import detached

    local = detached.status(local_broker_directory()).bootstrap_servers
    return msgspec.structs.replace(settings, bootstrap_servers=local) if local else settings


def local_broker_directory() -> Path:
    """Where the broker of this user keeps its data."""
    from logkeel.broker.places import default_data_directory

    return default_data_directory(os.environ, Path.home())


def make_engine(
    client: LogClient,
    settings: Settings,
    lock: SlotLock,
    *,
    observer: Observer | None = None,
    loop_settings: LoopSettings | None = None,
    listener: CommitListener | None = None,
    watch: "Watch | None" = None,
) -> TransactionalLoop:
    """The loop of one run processor, with its tables below the slot's directory. `loop_settings`: others than usual.

    `watch`: who looks on in place of `observer`. Raises `TopicMissing`, and `PartitionCountChanged` when co-partitioned
    topics do not have one partition count.
    """
    from logkeel.runs import DefinitionReader, RunProcessor

    names = settings.names
    if watch is not None:
        observer = watch.of_loop()
    run_observer, run_settings = (None, None) if watch is None else (watch.engine, watch.run_settings)
    loop = TransactionalLoop(
        _ports(client, lock, listener),
        RunProcessor(names, partitions=partition_count(client, settings), settings=run_settings, observer=run_observer),
        loop_settings or engine_settings(settings, lock.slot),
        side_source=DefinitionReader(client.reader("read_committed"), client.admin(), names.workflow_definitions),
        observer=observer,
    )
    if watch is not None:
        watch.loop_made(loop)
    return loop


def _ports(client: LogClient, lock: SlotLock, listener: CommitListener | None = None) -> LoopPorts:
    """What a loop is connected to, with its tables below the slot's directory."""
    from logkeel.tables import RocksStoreDirectory

    return LoopPorts(client, SystemClock(), RocksStoreDirectory(lock.directory / "tables"), listener)


def engine_settings(settings: Settings, slot: int) -> LoopSettings:
    """How the loop of an engine runs, in one place for all who act under its slot."""
    return LoopSettings(
        delete_retention_ms=DELETE_RETENTION_MS,
        application=f"{settings.prefix}.engine",
        group_id=settings.names.engine_group,
        slot=slot,
        session_timeout_ms=settings.session_timeout_ms,
        leave_on_close=not settings.stay,
    )


def make_repair(client: LogClient, settings: Settings, lock: SlotLock) -> Repair:
    """What repairs the state of one engine's slot. Raises as `make_engine`."""
    from logkeel.runs import RunProcessor

    return Repair(
        _ports(client, lock),
        RunProcessor(settings.names, partitions=partition_count(client, settings)),
        engine_settings(settings, lock.slot),
    )


def notifier_parts(
    client: LogClient, settings: Settings, lock: SlotLock, *, observer: Observer | None = None
) -> "NotifierParts":
    """The parts of a notifier, with its tables below the slot's directory. Raises `ConfigInvalid` for wrong keys."""
    from logkeel.cli.notifier_forms import PublishedForms
    from logkeel.cli.payloads import payload_chain
    from logkeel.notify.service import NotifierParts

    return NotifierParts(
        ports=_ports(client, lock),
        settings=notifier_settings(settings, lock.slot),
        names=settings.names,
        payloads=payload_chain(settings),
        forms=PublishedForms(client, settings.names),
        observer=observer,
    )


def notifier_settings(settings: Settings, slot: int) -> LoopSettings:
    """How the loop of a notifier runs."""
    return LoopSettings(
        delete_retention_ms=DELETE_RETENTION_MS,
        application=settings.names.notifier_group,
        group_id=settings.names.notifier_group,
        slot=slot,
        session_timeout_ms=settings.session_timeout_ms,
        leave_on_close=not settings.stay,
    )


def partition_count(client: LogClient, settings: Settings) -> int:
    """The one count of the co-partitioned topics. Raises `TopicMissing` and `PartitionCountChanged`."""
    names = settings.names
    wanted = (names.run_requests, names.step_results, names.run_state, names.run_events, names.run_completions)
    found = all_described(client.admin(), wanted, prefix=settings.prefix)
    counts = {name: found[name].partitions for name in wanted}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise PartitionCountChanged(
            f"co-partitioned topics must have one partition count, but {said}; start a new application (--prefix)"
            " with the count you want, since runs live on the partition of their key"
        )
    return counts[names.run_requests]


def make_worker(
    client: LogClient,
    settings: Settings,
    workflows: "Sequence[Workflow[Any]]",
    *,
    slot: int | None = None,
    drain_s: float = 25.0,
    debug: bool = False,
    watch: "Watch | None" = None,
) -> "StepWorker":
    """A worker of these workflows; `watch`: who looks on."""
    from logkeel.cli.payloads import payload_chain
    from logkeel.steps import StepWorker, WorkerOptions

    worker = StepWorker(
        client,
        workflows,
        names=settings.names,
        clock=SystemClock(),
        state_dir=Path(settings.state_dir) / "workers",
        options=WorkerOptions(
            queue=settings.queue,
            slot=slot,
            concurrency=settings.concurrency,
            drain_s=drain_s,
            debug=debug,
            payloads=payload_chain(settings),
            session_timeout_ms=settings.session_timeout_ms,
            leave_on_close=not settings.stay,
            observers=() if watch is None else watch.of_steps(settings.queue),
        ),
    )
    if watch is not None:
        watch.worker_made(worker, settings.queue)
    return worker
