"""Where read models of this machine are, and one that is up to date for a command."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from logkeel.cli.output import say
from logkeel.cli.settings import Settings
from logkeel.errors import SlotTaken
from logkeel.exactly_once import take_slot
from logkeel.log import LogClient, TopicPartition
from logkeel.readmodel import FILE_NAME, Projector, ReadModel

HOLDER_S = 10.0
"""How long a command waits for the process that holds the file to read what is on the log."""
LOOK_S = 0.05


def read_models(settings: Settings) -> Path:
    """The folder of the slots of this application: each holds one file, and the lock of its writer."""
    return Path(settings.state_dir) / "read-models" / settings.prefix


@contextmanager
def current_read_model(settings: Settings) -> Iterator[Path]:
    """A file that has what the log has now: brought up to date here, or by the gateway that holds it.

    Raises as `Projector`.
    """
    from logkeel.cli.wiring import connect

    client, folder = connect(settings), read_models(settings)
    try:
        lock = take_slot(folder, 0)
    except SlotTaken:
        path = folder / "slot-0000" / FILE_NAME
        _await_holder(client, settings, path)
        yield path
        return
    try:
        with closing(Projector(client, settings.names, lock.directory / FILE_NAME)) as projector:
            projector.catch_up()
            yield lock.directory / FILE_NAME
    finally:
        lock.release()


def _await_holder(client: LogClient, settings: Settings, path: Path) -> None:
    """Until the file shows what the log has now; a holder that is late is told of, and what it has is used."""
    topic = settings.names.run_events
    with closing(client.admin()) as admin, closing(ReadModel(path)) as model:
        count = admin.describe_topics([topic])[topic].partitions
        places = [TopicPartition(topic, number) for number in range(count)]
        ends = admin.end_offsets(places, committed_only=True)
        deadline_s = time.monotonic() + HOLDER_S
        while time.monotonic() < deadline_s:
            reflects = model.reflects().get(topic, {})
            if all(reflects.get(place.partition, 0) >= end for place, end in ends.items()):
                return
            time.sleep(LOOK_S)
    say(f"the gateway that keeps {path} is behind the log: the answer is of an earlier moment")
