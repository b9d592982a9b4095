"""Gateways of a process: settings, tokens from the command line, and a door that may be missing."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from logkeel.cli.gateway import app
from logkeel.cli.gateways import gateway_beside
from logkeel.cli.settings import Settings, load_settings
from logkeel.errors import ConfigInvalid, GatewayUnprotected, PortTaken
from logkeel.gateway.access import Role, StaticTokens
from logkeel.gateway.serving import verifiers_of
from logkeel.gateway.settings import DEFAULT_PORT, GatewaySettings
from logkeel.simulation import SimulatedCluster


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_flag_beats_the_environment_beats_the_table_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "logkeel.toml"
    file.write_text('[gateway]\nhost = "file"\nrate_per_s = 5\ntokens_file = "file"\n')
    environment = {"LOGKEEL_GATEWAY_HOST": "environment", "LOGKEEL_GATEWAY_TOKENS_FILE": "environment"}
    flags = {"gateway": {"host": "flag", "port": None}}
    found = load_settings(flags, environment=environment, file=file).gateway
    assert (found.host, found.tokens_file, found.rate_per_s, found.port) == ("flag", "environment", 5.0, DEFAULT_PORT)
    numbers = load_settings({}, environment={"LOGKEEL_GATEWAY_PORT": "99"}).gateway
    assert numbers == GatewaySettings(port=99)


@pytest.mark.parametrize("text", ["[gateway]\nhots = 'x'", "gateway = 7", "[gateway]\nport = 'high'"])
def test_a_key_of_the_table_that_is_not_known_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "logkeel.toml"
    file.write_text(text)
    with pytest.raises(ConfigInvalid, match=r"gateway\.host"):
        load_settings({}, environment={}, file=file)


def test_tokens_are_no_part_of_what_is_shown() -> None:
    settings = load_settings({}, environment={"LOGKEEL_GATEWAY_TOKENS": "ada:viewer:" + "ab" * 32})
    assert "abab" not in repr(settings)
    assert settings.gateway.is_protected


def test_a_token_is_printed_once_and_its_line_knows_it(tmp_path: Path) -> None:
    lines = tmp_path / "tokens"
    for number, name in enumerate(("ada", "bob"), start=1):
        made = CliRunner().invoke(app, ["token", name, "approver", "operator", "--file", str(lines)])
        token = made.output.strip()
        assert len(lines.read_text().splitlines()) == number
        principal = StaticTokens(lines.read_text().splitlines()).principal(token)
        assert principal is not None
        assert (principal.name, principal.may) == (name, frozenset({Role.VIEWER, Role.OPERATOR, Role.APPROVER}))
        (verifier,) = verifiers_of(GatewaySettings(tokens_file=str(lines)))
        assert verifier.principal(token) == principal


@pytest.mark.parametrize("arguments", [["ada", "king"], ["a:b", "viewer"]])
def test_a_token_for_no_role_or_with_a_name_that_lists_cannot_hold_is_refused(arguments: list[str]) -> None:
    refused = CliRunner().invoke(app, ["token", *arguments])
    assert isinstance(refused.exception, ConfigInvalid)


def test_a_list_that_cannot_be_read_is_an_error_and_no_open_door(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="tokens_file"):
        verifiers_of(GatewaySettings(tokens_file=str(tmp_path / "nowhere")))


def test_beside_an_engine_it_may_be_missing_or_must_be_there(
    tmp_path: Path, taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    client = SimulatedCluster().client()
    settings = Settings(state_dir=str(tmp_path), gateway=GatewaySettings(port=taken))
    with gateway_beside(client, settings, "none") as door:
        assert door is None
    with gateway_beside(client, settings, "may") as door:
        assert door is None
    assert "no gateway here" in capsys.readouterr().err
    with pytest.raises(PortTaken), gateway_beside(client, settings, "must"):
        pytest.fail("it listens on a port that is taken")


def test_an_open_door_is_refused_even_where_it_only_may_be(tmp_path: Path) -> None:
    everywhere = ".".join("0" * 4)
    settings = Settings(state_dir=str(tmp_path), gateway=GatewaySettings(host=everywhere, port=0))
    client = SimulatedCluster().client()
    with pytest.raises(GatewayUnprotected), gateway_beside(client, settings, "may"):
        pytest.fail("it listens to everybody")
