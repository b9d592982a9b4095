"""A wrong file is told what is wrong with it, and where."""

from pathlib import Path

import pytest

from logkeel.errors import ConfigInvalid
from logkeel.notify.cases import Target
from logkeel.notify.config import NotifyConfig, fingerprint, parse_config

GOOD = """
public_url = "https://approvals.example.com"
[channels.mail]
kind = "email"
server = "smtp.example.com:587"
sender = "logkeel@example.com"
user_env = "SMTP_USER"
password_env = "SMTP_PASSWORD"
events = ["asked", "reminder"]
[channels.team]
kind = "slack"
token_env = "SLACK_TOKEN"
signing_secret_env = "SLACK_SECRET"
[channels.audit]
kind = "webhook"
url = "https://audit.example.com/hook"
secret_env = "AUDIT_SECRET"
[routes]
editors = ["mail:ada@example.com", "team:#editors", "audit"]
"*" = ["audit"]
[inbound.payments]
secret_env = "PAYMENTS_SECRET"
run_id = "data.order"
signal = "paid"
"""
NAMES = ("SMTP_USER", "SMTP_PASSWORD", "SLACK_TOKEN", "SLACK_SECRET", "AUDIT_SECRET", "PAYMENTS_SECRET")
ENVIRONMENT = dict.fromkeys((*NAMES, "LOGKEEL_NOTIFY_KEY"), "x")


def parsed(text: str) -> NotifyConfig:
    return parse_config(text, ENVIRONMENT, source="notify.toml")


def test_a_whole_file_is_read() -> None:
    config = parsed(GOOD)
    routes = config.routing()
    assert routes.table["editors"] == (Target("mail", "ada@example.com"), Target("team", "#editors"), Target("audit"))
    assert (routes.wants(Target("mail"), "asked"), routes.wants(Target("mail"), "answered")) == (True, False)
    assert config.link_valid_ms == 7 * 24 * 3_600_000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "slack"', 'kind = "fax"', "channels"),
        ("[routes]", "[roads]", "roads"),
        ("server = ", "host = ", "host"),
        ('"smtp.example.com:587"', '"smtp.example.com"', "channels.mail: server: 'smtp.example.com' is not host:port"),
        ('sender = "logkeel@', 'tls = "none"\nsender = "logkeel@', "channels.mail: tls"),
        ('user_env = "SMTP_USER"\n', "", "both user_env and password_env"),
        ('"logkeel@example.com"', '"logkeel"', "is no address"),
        ('"asked", "reminder"', '"asked", "said"', "said"),
        ('"https://audit', '"http://audit', "channels.audit: url"),
        ('"https://audit', '"https://me:pw@audit', "must not carry a user"),
        ('"team:#editors"', '"times:#editors"', "routes.editors: 'times:#editors' names no channel; there are: audit"),
        ('"team:#editors"', '"team"', "needs a channel of Slack"),
        ('"mail:ada@example.com"', '"mail:ada"', "needs an address"),
        ('["audit"]', '["audit:me"]', "no recipients"),
        ('signal = "paid"', 'signal = "paid"\nverb = "x"', "inbound.payments: give signal, or path and verb"),
        ('signal = "paid"', 'verb = "x"', "an answer needs path and verb"),
        ("public_url", 'link_valid = "30d"\npublic_url', "at most 7d"),
        ('"https://approvals', '"approvals', "public_url"),
        ("SLACK_TOKEN", "SLACK_BOT_TOKEN", "the environment has no SLACK_BOT_TOKEN"),
        ("[routes]", "[routes", "is not TOML"),
    ],
)
def test_a_fault_is_named(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigInvalid) as caught:
        parsed(GOOD.replace(old, new, 1))
    assert said in caught.value.message
    assert caught.value.message.startswith("notify.toml")


def test_the_example_of_the_documentation_is_right() -> None:
    text = (Path(__file__).parents[3] / "docs/notifications.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    names = (*NAMES, "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "DECISIONS_SECRET", "LOGKEEL_NOTIFY_KEY")
    config = parse_config(example, dict.fromkeys(names, "x"), source="notify.toml")
    assert sorted(config.channels) == ["audit", "mail", "team"]
    assert sorted(config.inbound) == ["decisions", "payments"]
    assert sorted(config.routes) == ["*", "chief", "editors"]


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse_config(GOOD.replace('"team:#editors"', '"team"'), {}, source="notify.toml")
    assert len(caught.value.problems) == 1 + len(ENVIRONMENT)


def test_only_a_webhook_becomes_another_one_by_its_address() -> None:
    config = parsed(GOOD)
    assert fingerprint(config.channels["mail"]) == ""
    moved = parsed(GOOD.replace("/hook", "/other"))
    again = parsed(GOOD.replace("/hook", '/hook"\nrevision = 2\nca_file = "x'))
    assert len({fingerprint(each.channels["audit"]) for each in (config, moved, again)}) == 3
