"""Engine and workers as threads of this process, for `logkeel serve` and `logkeel dev`.

Each part is the same object as in a process of its own, with its slot, its group and its state directory; only the
process is shared. Ends in order: workers drain, while the engine still takes their results; then the engine closes.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from logkeel.cli.garbage import collect_less_often
from logkeel.cli.logged_loop import LoggedLoop
from logkeel.cli.settings import Settings
from logkeel.cli.team import Team
from logkeel.cli.wiring import make_engine, make_worker
from logkeel.exactly_once import take_slot
from logkeel.kafka import KafkaLogClient
from logkeel.steps import publish_definitions

if TYPE_CHECKING:
    from logkeel.workflow import Workflow

SWITCH_S = 0.001
"""How long a thread keeps Python's lock while another one waits for it; the default of 5 ms outlasts a transaction."""


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
) -> None:
    """One engine and a worker per queue until `stop` is set; `ready` is told the engine's slot once all have begun.

    Raises what ended one of them, after the others have ended too, and what `look` raises.
    """
    publish_definitions(client, settings.names, workflows)
    lock = take_slot(Path(settings.state_dir) / "engines")
    sys.setswitchinterval(SWITCH_S)
    with Team(stop) as team:
        team.start("engine", make_engine(client, settings, lock, observer=LoggedLoop()).run)
        for queue in queues_of(workflows):
            served = msgspec.structs.replace(settings, queue=queue)
            team.start(f"worker {queue}", make_worker(client, served, workflows, drain_s=drain_s).run)
        collect_less_often()
        ready(lock.slot)
        team.wait(look)
