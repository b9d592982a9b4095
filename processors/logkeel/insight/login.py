"""How Faust logs in, out of the options that the other processes have. Pure but for reading certificates.

aiokafka is not librdkafka: of its options those below are carried over, by librdkafka's names.
"""

import ssl
from collections.abc import Mapping
from typing import Any, Final

from faust.auth import SASLCredentials, SSLCredentials

from logkeel.errors import ConfigInvalid

_KNOWN: Final = frozenset(
    {
        "security.protocol",
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.password",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
    }
)
_SECURITY: Final = ("security.", "sasl.", "ssl.", "enable.ssl.")


def credentials_of(options: Mapping[str, Any]) -> SASLCredentials | SSLCredentials | None:
    """Faust's credentials; None: no login and no TLS.

    Raises `ConfigInvalid` for a login or certificate that cannot be carried over: better none than half of it.
    """
    unknown = sorted(name for name in options if name.startswith(_SECURITY) and name not in _KNOWN)
    if unknown:
        raise ConfigInvalid(f"insight cannot do as the Kafka options {', '.join(unknown)} say", options=unknown)
    protocol = str(options.get("security.protocol", "plaintext")).upper()
    if protocol == "PLAINTEXT":
        return None
    context = _context(options) if protocol in ("SSL", "SASL_SSL") else None
    if protocol == "SSL":
        return SSLCredentials(context)
    mechanism = str(options.get("sasl.mechanism", options.get("sasl.mechanisms", "PLAIN")))
    if protocol not in ("SASL_SSL", "SASL_PLAINTEXT") or mechanism not in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        raise ConfigInvalid(f"insight logs in by PLAIN or SCRAM, not by {protocol} with {mechanism}", option=mechanism)
    return SASLCredentials(
        username=str(options.get("sasl.username", "")),
        password=str(options.get("sasl.password", "")),
        ssl_context=context,
        mechanism=mechanism,
    )


def _context(options: Mapping[str, Any]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("ssl.ca.location"))
        if "ssl.certificate.location" in options:
            key, password = options.get("ssl.key.location"), options.get("ssl.key.password")
            context.load_cert_chain(options["ssl.certificate.location"], key, password)
    except OSError as error:
        raise ConfigInvalid(f"a certificate of the Kafka options cannot be read: {error}") from error
    return context
