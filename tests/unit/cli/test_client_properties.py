"""A `client.properties` as Java reads it, and what it makes of the settings."""

from pathlib import Path

import pytest

from logkeel.cli.client_properties import parse_properties, read_properties
from logkeel.cli.settings import load_settings
from logkeel.errors import ConfigInvalid

TEXT = r"""
# a comment
! another one
security.protocol = SASL_SSL
sasl.jaas.config=org.example.ScramLoginModule required \
    username="ada" \
    password="a=b:c # no comment";
ssl.ca.location : C\:\\certs\\ca.pem
client.id logkeel
empty=
"""


def test_lines_are_joined_escaped_and_commented_as_in_java() -> None:
    assert parse_properties(TEXT, source="x") == {
        "security.protocol": "SASL_SSL",
        "sasl.jaas.config": 'org.example.ScramLoginModule required username="ada" password="a=b:c # no comment";',
        "ssl.ca.location": r"C:\certs\ca.pem",
        "client.id": "logkeel",
        "empty": "",
    }


def test_a_line_that_is_no_pair_is_named_by_its_place() -> None:
    with pytest.raises(ConfigInvalid, match="x:2 is no line") as caught:
        parse_properties("a=b\nsecret", source="x")
    assert "secret" not in caught.value.message


def test_the_file_gives_address_and_options_and_the_table_wins(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("bootstrap.servers=kafka:9093\nclient.id=file\nsasl.password=hidden\n")
    toml = tmp_path / "logkeel.toml"
    toml.write_text('[kafka]\n"client.id" = "table"\n')
    settings = load_settings({}, environment={"LOGKEEL_KAFKA_CONFIG": str(file)}, file=toml)
    assert settings.bootstrap_servers == "kafka:9093"
    assert settings.kafka == {"client.id": "table", "sasl.password": "hidden"}
    assert "hidden" not in repr(settings)
    flagged = load_settings({"bootstrap_servers": "other:1", "kafka_config": str(file)}, environment={}, file=toml)
    assert flagged.bootstrap_servers == "other:1"


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load_settings({"kafka_config": "nowhere.properties"}, environment={})


def test_a_directory_holds_an_option_a_file_as_kubernetes_mounts_a_secret(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "sasl.jaas.config").write_text("Login;\n")
    (tmp_path / "sasl.jaas.config").symlink_to(tmp_path / "..data" / "sasl.jaas.config")
    (tmp_path / "client.properties").write_text("security.protocol=SASL_SSL\n")
    assert read_properties(tmp_path) == {"sasl.jaas.config": "Login;", "security.protocol": "SASL_SSL"}
    (tmp_path / "more.properties").write_text("security.protocol=SSL\n")
    with pytest.raises(ConfigInvalid, match=r"security\.protocol twice"):
        read_properties(tmp_path)
