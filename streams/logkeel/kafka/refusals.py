"""Why no connection comes about: the client tells its log, and lets every call time out.

`first_contact` asks the cluster once, and turns what the log says meanwhile into the error that names the cause. Only
secured connections are asked: in the clear nothing is refused but by the network.
"""

import re
import socket
import ssl
import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from logkeel.errors import AuthenticationFailed, CertificateRefused, OperatorError
from logkeel.kafka.client_log import ClientLog

PATIENCE_S: Final = 10.0
LOOK_S: Final = 0.5
_PROBE_S: Final = 5.0
_CONNECTING: Final = ("bootstrap.servers", "security.", "sasl.", "ssl.", "https.", "enable.ssl.", "logger")

_LOGIN: Final = re.compile(r"SASL authentication error|Authentication failed|SaslAuthenticate")
_CERTIFICATE: Final = re.compile(r"certificate verify failed|certificate could not be verified|alert certificate")
_REASON: Final = re.compile(r"/\w+: (.*?)(?: \(after \d+ms in state \w+\))?$")


def first_contact(admin: Any, log: ClientLog, settings: Mapping[str, Any]) -> None:
    """Return once a broker has answered, or after a while without any word. Raises as `refusal`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            admin.list_topics(timeout=LOOK_S)
        except KafkaException:
            admin.poll(0)  # which is when the client hands out its log lines
            if (error := refusal(log.failure, settings)) is not None:
                raise error from None
        else:
            return


def is_secured(settings: Mapping[str, Any]) -> bool:
    """Whether anything but an open connection is asked for."""
    return str(settings.get("security.protocol", "plaintext")).lower() != "plaintext"


def refusal(line: str | None, settings: Mapping[str, Any]) -> OperatorError | None:
    """What a line of the client's log means: `AuthenticationFailed`, `CertificateRefused`, or nothing of the kind."""
    if line is None:
        return None
    said = match[1] if (match := _REASON.search(line)) else line
    if _LOGIN.search(line):
        user = settings.get("sasl.username")
        return AuthenticationFailed(
            f"the broker does not let user {user!r} in: {said}; see that the user exists and that sasl.username and"
            " sasl.password (or sasl.jaas.config) among the Kafka options are right",
            user=user,
            reason=said,
        )
    if _CERTIFICATE.search(line):
        reason = certificate_problem(settings) or said
        return CertificateRefused(
            f"the broker's certificate is refused: {reason}; {_remedy(reason)}",
            reason=reason,
            bootstrap_servers=settings.get("bootstrap.servers"),
        )
    return None


def _remedy(reason: str) -> str:
    if "expired" in reason:
        return "renew the certificate on the broker"
    if "mismatch" in reason or "not valid for" in reason:
        return "connect by a name that the certificate holds"
    return "see that ssl.ca.location (or ssl.truststore.location) names who signed it"


def certificate_problem(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with the certificate of the first broker that shows one, in OpenSSL's words.

    The client's own log only says that it could not be verified.
    """
    context = ssl.create_default_context(cafile=settings.get("ssl.ca.location"), cadata=settings.get("ssl.ca.pem"))
    context.check_hostname = settings.get("ssl.endpoint.identification.algorithm") != "none"
    for address in str(settings.get("bootstrap.servers", "")).split(","):
        host, _, port = address.strip().rpartition(":")
        host = host.rpartition("://")[2].strip("[]")
        try:
            with (
                socket.create_connection((host, int(port)), _PROBE_S) as connection,
                context.wrap_socket(connection, server_hostname=host),
            ):
                return None
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except (OSError, ValueError):
            continue
    return None


def topics_not_writable(settings: Mapping[str, Any], topics: Collection[str]) -> list[str]:
    """Which of these topics the user of a producer may not write to, sorted; none if nobody says so."""
    options = {name: value for name, value in settings.items() if name.startswith(_CONNECTING)}
    admin, found = AdminClient(options), []
    collection = TopicCollection(sorted(topics))
    try:
        answers = admin.describe_topics(collection, request_timeout=PATIENCE_S, include_authorized_operations=True)
        for topic, answer in answers.items():
            if AclOperation.WRITE not in (answer.result(PATIENCE_S).authorized_operations or ()):
                found.append(topic)
    except (KafkaException, TimeoutError):
        return []
    return found
