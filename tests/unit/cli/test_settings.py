"""Settings: flag > environment > TOML > default, and every unknown key is an error."""

from pathlib import Path

import pytest

from logkeel.cli.settings import load_settings
from logkeel.errors import ConfigInvalid


def toml(folder: Path, text: str) -> Path:
    """A settings file."""
    file = folder / "settings.toml"
    file.write_text(text)
    return file


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = toml(tmp_path, 'prefix = "file"\nqueue = "file"\nstate_dir = "file"\n')
    environment = {"LOGKEEL_PREFIX": "environment", "LOGKEEL_QUEUE": "environment"}
    settings = load_settings({"prefix": "flag", "queue": None}, environment=environment, file=file)
    assert (settings.prefix, settings.queue, settings.state_dir) == ("flag", "environment", "file")
    assert settings.concurrency == 256


def test_numbers_in_the_environment_are_converted() -> None:
    assert load_settings({}, environment={"LOGKEEL_PARTITIONS": "12"}).partitions == 12


@pytest.mark.parametrize("text", ["partitons = 4", 'partitions = "four"', "[kafka]\nx = [1]"])
def test_unknown_keys_and_wrong_types_are_refused_with_the_known_ones(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigInvalid, match="known settings: bootstrap_servers"):
        load_settings({}, environment={}, file=toml(tmp_path, text))


def test_a_file_that_is_named_must_exist_and_be_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="does not exist"):
        load_settings({}, environment={}, file=tmp_path / "none.toml")
    with pytest.raises(ConfigInvalid, match="is not TOML"):
        load_settings({}, environment={}, file=toml(tmp_path, "prefix ="))


def test_client_options_ride_along(tmp_path: Path) -> None:
    file = toml(tmp_path, '[kafka]\n"security.protocol" = "SSL"\n')
    assert load_settings({}, environment={}, file=file).kafka == {"security.protocol": "SSL"}
