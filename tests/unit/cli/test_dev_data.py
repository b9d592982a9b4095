"""What `logkeel dev --fresh` removes, and above all what it does not."""

from pathlib import Path

from logkeel.broker.settings import BrokerSettings, Ports
from logkeel.cli.dev_data import BROKER_FILES, KAFKA_FOLDER, forget, state_folder
from logkeel.cli.settings import Settings


def write(path: Path) -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("content")
    return path


def test_tables_lie_beside_the_log_they_belong_to_unless_a_folder_is_given(tmp_path: Path) -> None:
    kept = {state_folder(Settings(prefix=prefix), tmp_path) for prefix in ("one", "two")}
    assert len(kept) == 2
    assert all(folder.is_relative_to(tmp_path) for folder in kept)
    assert state_folder(Settings(state_dir="elsewhere"), tmp_path) == Path("elsewhere")


def test_forgetting_removes_log_note_and_tables(tmp_path: Path) -> None:
    state = state_folder(Settings(), tmp_path)
    ours = [write(tmp_path / name) for name in (*BROKER_FILES, "kafka/topic-0/0.log")]
    ours += [write(state / "engines/slot-0000/tables/x"), write(state / "workers/worker-default/slot-0001/lock")]
    forget(tmp_path, state)
    assert not [path for path in ours if path.exists()]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ours = write(state / "engines/slot-0000/tables/x")
    theirs = [write(state / name) for name in ("thesis.txt", "engines/notes.txt", "workers/payroll.csv")]
    theirs += [write(tmp_path / "home" / name) for name in ("letter.txt", "kafka/the-trial.txt", "applications/cv.txt")]
    forget(tmp_path / "home", state)
    assert not ours.exists()
    assert all(path.exists() for path in theirs)


def test_forgetting_nothing_is_no_error(tmp_path: Path) -> None:
    forget(tmp_path / "none", tmp_path / "neither")


def test_the_log_is_where_the_broker_keeps_it(tmp_path: Path) -> None:
    assert BrokerSettings(tmp_path, Ports(1, 2, 3), "h:1", {}).log_dir == tmp_path / KAFKA_FOLDER
