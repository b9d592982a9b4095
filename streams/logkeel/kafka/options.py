"""Options of the Kafka client by the names of librdkafka or of Java clients, brought to those of librdkafka. Pure.

Java's names are those of its `client.properties` for connecting (KIP-651 for PEM). What has no counterpart is refused
by name: an option that is silently dropped may be the one that was to protect the connection.

See: librdkafka's CONFIGURATION.md; "Security" in the Kafka documentation.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from logkeel.errors import ConfigInvalid

_NAMES: Final = """
    api.version.request api.version.request.timeout.ms broker.address.family broker.address.ttl batch.num.messages
    batch.size check.crcs client.dns.lookup client.id client.rack compression.codec compression.level compression.type
    connections.max.idle.ms coordinator.query.interval.ms debug enable.metrics.push
    enable.sasl.oauthbearer.unsecure.jwt enable.sparse.connections enable.ssl.certificate.verification
    fetch.error.backoff.ms fetch.max.bytes fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms
    fetch.wait.max.ms heartbeat.interval.ms https.ca.location https.ca.pem linger.ms log.connection.close log.queue
    log.thread.name log_level max.partition.fetch.bytes max.poll.interval.ms message.copy.max.bytes message.max.bytes
    message.send.max.retries metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy
    plugin.library.paths queue.buffering.backpressure.threshold queue.buffering.max.kbytes
    queue.buffering.max.messages queue.buffering.max.ms queued.max.messages.kbytes queued.min.messages
    receive.message.max.bytes reconnect.backoff.max.ms reconnect.backoff.ms retries retry.backoff.max.ms
    retry.backoff.ms sasl.kerberos.keytab sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin
    sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanism sasl.mechanisms
    sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.claim.aud
    sasl.oauthbearer.assertion.claim.exp.seconds sasl.oauthbearer.assertion.claim.iss
    sasl.oauthbearer.assertion.claim.jti.include sasl.oauthbearer.assertion.claim.nbf.seconds
    sasl.oauthbearer.assertion.claim.sub sasl.oauthbearer.assertion.file
    sasl.oauthbearer.assertion.jwt.template.file sasl.oauthbearer.assertion.private.key.file
    sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.private.key.pem
    sasl.oauthbearer.client.credentials.client.id sasl.oauthbearer.client.credentials.client.secret
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.extensions
    sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type sasl.oauthbearer.method
    sasl.oauthbearer.scope sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url sasl.password
    sasl.username security.protocol socket.blocking.max.ms socket.connection.setup.timeout.ms
    socket.keepalive.enable socket.max.fails socket.nagle.disable socket.receive.buffer.bytes
    socket.send.buffer.bytes socket.timeout.ms ssl.ca.certificate.stores ssl.ca.location ssl.ca.pem
    ssl.certificate.location ssl.certificate.pem ssl.cipher.suites ssl.crl.location ssl.curves.list
    ssl.endpoint.identification.algorithm ssl.engine.id ssl.engine.location ssl.key.location ssl.key.password
    ssl.key.pem ssl.keystore.location ssl.keystore.password ssl.providers ssl.sigalgs.list statistics.interval.ms
    sticky.partitioning.linger.ms topic.metadata.propagation.max.ms topic.metadata.refresh.fast.interval.ms
    topic.metadata.refresh.interval.ms topic.metadata.refresh.sparse
"""

KNOWN: Final = frozenset(_NAMES.split())
"""What the client takes and correctness does not rest on."""

_LOGIN: Final = re.compile(r"""\b(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))""")
_PASSWORD_MODULES: Final = ("ScramLoginModule", "PlainLoginModule")
_PEM_HINT: Final = "keytool -exportcert -rfc -keystore STORE -alias ALIAS -file ca.pem"


def client_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options by librdkafka's names. Raises `ConfigInvalid` for one that is not known, with the nearest name."""
    options: dict[str, Any] = {}
    for name, value in given.items():
        translate = _JAVA.get(name)
        for key, meant in (translate(value, given) if translate else {name: value}).items():
            if key in options and options[key] != meant:
                raise ConfigInvalid(f"the Kafka option {key!r} is given twice, once as {name!r}", key=name)
            options[key] = meant
    for name in options:
        if name not in KNOWN:
            raise unknown(name)
    return options


def unknown(name: str) -> ConfigInvalid:
    """The error that names the nearest option."""
    near = difflib.get_close_matches(name, [*KNOWN, *_JAVA], n=1, cutoff=0.6)
    remedy = f"; did you mean {near[0]!r}?" if near else ": see librdkafka's CONFIGURATION.md"
    return ConfigInvalid(f"there is no Kafka option {name!r}{remedy}", key=name, nearest=near[0] if near else None)


def _renamed(name: str) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    return lambda value, _: {name: value}


def _absent(instead: str) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    """For an option that only Java clients have."""

    def refuse(value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        name = next(key for key, known in _JAVA.items() if known is refuse)
        raise ConfigInvalid(f"the Kafka option {name!r} has no counterpart here: {instead}", key=name)

    return refuse


def _login(value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    text = str(value)
    if not any(module in text for module in _PASSWORD_MODULES):
        raise ConfigInvalid(
            "of sasl.jaas.config the modules ScramLoginModule and PlainLoginModule are understood; for OAuth give"
            " sasl.oauthbearer.method=oidc, sasl.oauthbearer.client.id and the like, for Kerberos sasl.kerberos.*",
            key="sasl.jaas.config",
        )
    words = {name: re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _LOGIN.findall(text)}
    if not {"username", "password"} <= words.keys():
        raise ConfigInvalid("sasl.jaas.config names no username and password", key="sasl.jaas.config")
    return {"sasl.username": words["username"], "sasl.password": words["password"]}


def _type_of(given: Mapping[str, Any], store: str) -> str:
    return str(given.get(f"ssl.{store}.type", "JKS")).upper()


def _truststore(value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    if _type_of(given, "truststore") != "PEM":
        raise ConfigInvalid(
            f"a trust store is read as PEM only: {_PEM_HINT}, then ssl.truststore.type=PEM, or ssl.ca.location=ca.pem",
            key="ssl.truststore.location",
        )
    return {"ssl.ca.location": value}


def _truststore_password(value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    if _type_of(given, "truststore") == "PEM":
        raise ConfigInvalid("a trust store of type PEM has no password: leave it out", key="ssl.truststore.password")
    return {}  # the location of such a store is refused


def _keystore(value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    kind = _type_of(given, "keystore")
    if kind == "PEM":
        return {"ssl.certificate.location": value, "ssl.key.location": value}
    if kind == "PKCS12":
        return {"ssl.keystore.location": value}
    raise ConfigInvalid(
        f"a key store of type {kind} is not read: make it PKCS12 or PEM"
        " (keytool -importkeystore -deststoretype PKCS12)",
        key="ssl.keystore.location",
    )


def _endpoint_check(value: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"ssl.endpoint.identification.algorithm": str(value).lower() or "none"}


_PROTOCOLS: Final = "versions of TLS are chosen with ssl.cipher.suites and by OpenSSL's own configuration; leave it out"
_SERIALISATION: Final = "records of logkeel have a serialisation of their own; leave it out"

_JAVA: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]]] = {
    "sasl.jaas.config": _login,
    "ssl.truststore.location": _truststore,
    "ssl.truststore.certificates": _renamed("ssl.ca.pem"),
    "ssl.truststore.type": lambda value, _: {},
    "ssl.truststore.password": _truststore_password,
    "ssl.keystore.location": _keystore,
    "ssl.keystore.type": lambda value, _: {},
    "ssl.keystore.certificate.chain": _renamed("ssl.certificate.pem"),
    "ssl.keystore.key": _renamed("ssl.key.pem"),
    "ssl.endpoint.identification.algorithm": _endpoint_check,
    "send.buffer.bytes": _renamed("socket.send.buffer.bytes"),
    "receive.buffer.bytes": _renamed("socket.receive.buffer.bytes"),
    "fetch.max.wait.ms": _renamed("fetch.wait.max.ms"),
    "max.request.size": _renamed("message.max.bytes"),
    "buffer.memory": lambda value, _: {"queue.buffering.max.kbytes": max(1, int(value) // 1024)},
    "ssl.protocol": _absent(_PROTOCOLS),
    "ssl.enabled.protocols": _absent(_PROTOCOLS),
    "ssl.provider": _absent("OpenSSL has its own: ssl.providers"),
    "sasl.client.callback.handler.class": _absent("it names a Java class"),
    "sasl.login.callback.handler.class": _absent("it names a Java class; for OAuth: sasl.oauthbearer.method=oidc"),
    "key.serializer": _absent(_SERIALISATION),
    "value.serializer": _absent(_SERIALISATION),
    "key.deserializer": _absent(_SERIALISATION),
    "value.deserializer": _absent(_SERIALISATION),
}
