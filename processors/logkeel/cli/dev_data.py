"""Where `logkeel dev` keeps what it makes, and how it forgets that and nothing else in those folders."""

import shutil
from pathlib import Path

from logkeel.cli.settings import Settings

KAFKA_FOLDER = "kafka"
APPLICATIONS_FOLDER = "applications"
BROKER_FILES = ("broker.json", "broker.log", "broker.log.1", "server.properties")
SLOT_PATTERNS = ("engines/slot-[0-9]*", "workers/worker-*/slot-[0-9]*")


def state_folder(settings: Settings, broker_folder: Path) -> Path:
    """The folder that is given, else one beside the log it belongs to, so that both are forgotten together.

    Tables are a prefix of one log (P17). Kept in each project's folder, they would outlive a log that projects share.
    """
    if settings.state_dir != Settings().state_dir:
        return Path(settings.state_dir)
    return broker_folder / APPLICATIONS_FOLDER / settings.prefix


def forget(broker_folder: Path, state: Path) -> None:
    """Remove the broker's log and note, the tables of its applications, and the slots in `state`.

    A folder that no broker has used is left alone. Nothing may run there.
    """
    if (broker_folder / "server.properties").exists():
        for name in (KAFKA_FOLDER, APPLICATIONS_FOLDER):
            if (broker_folder / name).exists():
                shutil.rmtree(broker_folder / name)
        for name in BROKER_FILES:
            (broker_folder / name).unlink(missing_ok=True)
    for pattern in SLOT_PATTERNS:
        for slot in state.glob(pattern):
            shutil.rmtree(slot)
