"""The notifier's TOML file: channels, routes, pages and incoming webhooks. Pure: text and environment come in.

Every fault is named with its place in the file; all of them at once, where they can be told apart. Secrets stand in the
environment, under names that the file gives.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from logkeel.errors import ConfigInvalid
from logkeel.notify.cases import Kind, Target
from logkeel.notify.routing import Routes, target_of
from logkeel.workflow import to_milliseconds

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class Mail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="email"):
    """E-mail by SMTP. `tls`: `starttls`, `implicit` (SMTPS), or `none`, which only a loopback server may have."""

    server: str
    sender: str
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: str | None = None
    user_env: str | None = None
    password_env: str | None = None
    events: tuple[Kind, ...] | None = None


class Hook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="webhook"):
    """Standard Webhooks 1.0. `secret_env`: one `whsec_…`, or several with spaces, all of which sign.

    `allow_private`: it may lie at an address of a private network; http instead of https only then. `revision`: count
    it up to switch an endpoint on again that has answered 410.
    """

    url: str
    secret_env: str
    allow_private: bool = False
    ca_file: str | None = None
    revision: int = 1
    events: tuple[Kind, ...] | None = None


class Slack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="slack"):
    """A Slack application: its bot token, and the secret that Slack signs clicks with."""

    token_env: str
    signing_secret_env: str
    api_url: str = "https://slack.com/api/"
    events: tuple[Kind, ...] | None = None


ChannelConfig = Mail | Hook | Slack


class Inbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook that comes in, at `/webhooks/<name>`: a signal, or an answer.

    `run_id`, `payload`, `correlation`, `routing_key`, `path`, `verb`, `by`: where in the JSON body it stands, names
    with dots between them, or "." for all of it. `signal`: the signal's name. `types`: only webhooks of these types;
    others are taken, and nothing follows.
    """

    secret_env: str
    run_id: str
    signal: str | None = None
    payload: str | None = None
    correlation: str | None = None
    routing_key: str | None = None
    path: str | None = None
    verb: str | None = None
    by: str | None = None
    types: tuple[str, ...] = ()


class NotifyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. `public_url`: where people reach the pages; without it messages have no links.

    `key_env`: the secret that links are signed with; several with spaces: the first one signs, all are taken.
    """

    channels: dict[Name, ChannelConfig] = {}
    routes: dict[str, tuple[str, ...]] = {}
    inbound: dict[Name, Inbound] = {}
    public_url: str | None = None
    key_env: str = "LOGKEEL_NOTIFY_KEY"
    link_valid: str = "7d"

    @property
    def link_valid_ms(self) -> int:
        """How long a link may be used."""
        return to_milliseconds(self.link_valid)

    def routing(self) -> Routes:
        """Who is told through which channels."""
        return Routes(
            channels=frozenset(self.channels),
            table={name: tuple(map(target_of, targets)) for name, targets in self.routes.items()},
            kinds={name: each.events for name, each in self.channels.items() if each.events is not None},
            fingerprints={name: fingerprint(each) for name, each in self.channels.items()},
        )

    def secret_names(self) -> Iterator[str]:
        """The variables that have to be there."""
        for each in self.channels.values():
            match each:
                case Mail(user_env=user, password_env=password):
                    yield from (name for name in (user, password) if name is not None)
                case Hook(secret_env=secret):
                    yield secret
                case Slack(token_env=token, signing_secret_env=secret):
                    yield from (token, secret)
        yield from (each.secret_env for each in self.inbound.values())
        if self.public_url is not None:
            yield self.key_env


def parse_config(text: str, environment: Mapping[str, str], *, source: str) -> NotifyConfig:
    """The configuration out of TOML. `source`: the file's name. Raises `ConfigInvalid` with what is wrong and where."""
    try:
        config = msgspec.convert(tomllib.loads(text), NotifyConfig)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{source} is not TOML: {error}", file=source) from error
    except msgspec.ValidationError as error:
        raise ConfigInvalid(f"{source}: {error}", file=source) from error
    problems = [*_problems(config), *_missing(config, environment)]
    if problems:
        raise ConfigInvalid(f"{source}: {'; '.join(problems)}", file=source, problems=problems)
    return config


def fingerprint(channel: ChannelConfig) -> str:
    """Changes when a channel becomes another one: a webhook's address, or its revision."""
    if not isinstance(channel, Hook):
        return ""
    return hashlib.sha256(f"{channel.revision} {channel.url}".encode()).hexdigest()[:16]


def is_loopback(host: str) -> bool:
    """Whether an address never leaves this machine."""
    return host in ("localhost", "127.0.0.1", "::1")


def server_of(address: str) -> tuple[str, int]:
    """Host and port of `host:port`. Raises ValueError."""
    host, _, port = address.rpartition(":")
    if not host:
        raise ValueError(address)
    return host.strip("[]"), int(port)


def _problems(config: NotifyConfig) -> Iterator[str]:
    for name, channel in config.channels.items():
        yield from (f"channels.{name}: {problem}" for problem in _channel_problems(channel))
    for name, targets in config.routes.items():
        for text in targets:
            problem = _target_problem(target_of(text), config.channels)
            if problem is not None:
                yield f"routes.{name}: {text!r} {problem}"
    for name, inbound in config.inbound.items():
        yield from (f"inbound.{name}: {problem}" for problem in _inbound_problems(inbound))
    if config.public_url is not None and urlsplit(config.public_url).scheme not in ("http", "https"):
        yield "public_url: give an address that begins with https://"
    try:
        valid_ms = config.link_valid_ms
    except (ValueError, TypeError) as error:
        yield f"link_valid: {error}"
    else:
        # A second use is known as one for as long as the engine remembers requests (P26).
        if not 0 < valid_ms <= to_milliseconds("7d"):
            yield "link_valid: give more than nothing and at most 7d; a reminder brings a new link"


def _channel_problems(channel: ChannelConfig) -> Iterator[str]:
    match channel:
        case Mail():
            try:
                host, _ = server_of(channel.server)
            except ValueError:
                yield f"server: {channel.server!r} is not host:port"
                return
            if channel.tls == "none" and not is_loopback(host):
                yield f"tls: mail to {host} would travel in clear text; say starttls or implicit"
            if (channel.user_env is None) != (channel.password_env is None):
                yield "give both user_env and password_env, or neither"
            if "@" not in channel.sender:
                yield f"sender: {channel.sender!r} is no address"
        case Hook():
            parts = urlsplit(channel.url)
            allowed = ("https", "http") if channel.allow_private else ("https",)
            if parts.scheme not in allowed or not parts.hostname:
                yield f"url: {channel.url!r} has to begin with {' or '.join(f'{each}://' for each in allowed)}"
            if parts.username or parts.password:
                yield "url: it must not carry a user or a password"
        case Slack():
            parts = urlsplit(channel.api_url)
            if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
                yield f"api_url: {channel.api_url!r} has to begin with https://"


def _target_problem(target: Target, channels: Mapping[str, ChannelConfig]) -> str | None:
    channel = channels.get(target.channel)
    match channel:
        case None:
            return f"names no channel; there are: {', '.join(sorted(channels)) or 'none'}"
        case Mail() if "@" not in target.recipient:
            return f"needs an address: {target.channel}:somebody@example.com"
        case Slack() if not target.recipient:
            return f"needs a channel of Slack: {target.channel}:#editors"
        case Hook() if target.recipient:
            return f"is a webhook, which has no recipients: say {target.channel!r}"
        case _:
            return None


def _inbound_problems(inbound: Inbound) -> Iterator[str]:
    answers = inbound.path is not None or inbound.verb is not None
    if (inbound.signal is not None) == answers:
        yield "give signal, or path and verb"
    if answers and (inbound.path is None or inbound.verb is None):
        yield "an answer needs path and verb"


def _missing(config: NotifyConfig, environment: Mapping[str, str]) -> Sequence[str]:
    names = dict.fromkeys(config.secret_names())
    return [f"the environment has no {name}" for name in names if not environment.get(name, "").strip()]


def secrets_of(environment: Mapping[str, Any], name: str) -> list[str]:
    """The secrets under one name, the one that signs first."""
    return str(environment.get(name, "")).split()
