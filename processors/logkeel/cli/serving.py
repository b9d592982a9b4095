"""Engine, workers and gateway as threads of this process, for `logkeel serve` and `logkeel dev`.

Each part is the same object as in a process of its own, with its slot, its group and its state directory; only the
process is shared. Ends in order: the gateway, then workers drain, while the engine still takes their results; then the
engine closes.
"""

import sys
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from logkeel.cli.garbage import settle
from logkeel.cli.gateways import Presence, gateway_beside
from logkeel.cli.logged_loop import logged
from logkeel.cli.observing import watching
from logkeel.cli.output import say
from logkeel.cli.probes import Health, JointHealth, offer_probes
from logkeel.cli.publishing import publish
from logkeel.cli.settings import Settings
from logkeel.cli.slots import slot_of
from logkeel.cli.team import Team
from logkeel.cli.watchdog import ENGINE_LIMIT_S
from logkeel.cli.wiring import make_engine, make_worker
from logkeel.exactly_once import Produced, take_slot
from logkeel.kafka import KafkaLogClient

if TYPE_CHECKING:
    from logkeel.steps import StepWorker
    from logkeel.workflow import Workflow

SWITCH_S = 0.001
"""How long a thread keeps Python's lock while another one waits for it; the default of 5 ms outlasts a transaction."""


class HeadStart:
    """Hands the commands that the engine of this process committed to its workers, before they read them.

    Implements `logkeel.exactly_once.CommitListener`. A hint: a worker takes what it may start at once, the log has all.
    """

    def __init__(self) -> None:
        self._workers: dict[str, StepWorker] = {}

    def add(self, topic: str, worker: "StepWorker") -> None:
        """From now on `worker` hears of the commands on `topic`."""
        self._workers[topic] = worker

    @property
    def topics(self) -> Collection[str]:
        """Those of the workers."""
        return self._workers.keys()

    def committed(self, records: Sequence[Produced]) -> None:
        """Each worker hears of its commands."""
        for topic, worker in list(self._workers.items()):
            commands = [
                (place, offset, output.value)
                for place, offset, output in records
                if place.topic == topic and output.value is not None
            ]
            if commands:
                worker.hear_committed(commands)


def queues_of(workflows: "Sequence[Workflow[Any]]") -> list[str]:
    """The queues that the steps of these workflows name, sorted."""
    return sorted({step.queue for workflow in workflows for step in workflow.document().steps})


def serve_here(
    client: KafkaLogClient,
    settings: Settings,
    workflows: "Sequence[Workflow[Any]]",
    *,
    stop: threading.Event,
    drain_s: float,
    look: Callable[[], None],
    ready: Callable[[int], None],
    debug: bool = False,
    gateway: Presence = "none",
) -> None:
    """One engine, a worker per queue, and a gateway if there is to be one, until `stop` is set.

    `ready` is told the engine's slot once all have begun.

    `debug`: workers do not end steps whose time is over, since a person may stand at a breakpoint.

    Raises what ended one of them, after the others have ended too, and what `look` raises; `PortTaken`.
    """
    publish(client, settings, workflows)
    lock = take_slot(Path(settings.state_dir) / "engines", slot_of(settings))
    sys.setswitchinterval(SWITCH_S)
    start = HeadStart()
    with (
        watching(client, settings, "serve") as watch,
        gateway_beside(client, settings, gateway, watch.calls) as door,
        Team(stop) as team,
    ):
        engine = make_engine(client, settings, lock, listener=start, watch=watch)
        beats = team.start("engine", logged(engine, lock))
        loops = {"engine": Health(beats, ENGINE_LIMIT_S, lambda: engine.is_ready)}
        for queue in queues_of(workflows):
            of_queue = msgspec.structs.replace(settings, queue=queue)
            worker = make_worker(client, of_queue, workflows, drain_s=drain_s, debug=debug, watch=watch)
            start.add(settings.names.step_commands(queue), worker)
            name = f"worker {queue}"
            loops[name] = Health(team.start(name, worker.run), ENGINE_LIMIT_S, partial(_is_ready, worker))
        if door is not None:
            door.start(team)
            say(f"gateway on {door.address}; its description: {door.address}/openapi.json")
        offer_probes(JointHealth(loops, stop.is_set), settings.probe_host, settings.probe_port)
        settle()
        ready(lock.slot)
        team.wait(look)


def _is_ready(worker: "StepWorker") -> bool:
    return worker.is_ready
