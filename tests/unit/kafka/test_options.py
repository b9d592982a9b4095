"""Options of the client by librdkafka's and by Java's names; what is not known, or not allowed, is said by name."""

import pytest
from confluent_kafka import KafkaException, Producer

from logkeel.errors import ConfigInvalid
from logkeel.kafka.client import KafkaLogClient
from logkeel.kafka.options import KNOWN, client_options
from logkeel.kafka.refusals import refusal
from logkeel.kafka.settings import FIXED, check_overrides, masked

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"


def test_a_java_client_properties_becomes_the_clients_own() -> None:
    assert client_options(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": rf'{SCRAM} username="ada" password="se\"cr;et=" ;',
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "ca.pem",
            "ssl.endpoint.identification.algorithm": "",
        }
    ) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ada",
        "sasl.password": 'se"cr;et=',
        "ssl.ca.location": "ca.pem",
        "ssl.endpoint.identification.algorithm": "none",
    }


def test_key_stores_are_taken_as_pem_and_pkcs12() -> None:
    pem = client_options({"ssl.keystore.type": "PEM", "ssl.keystore.location": "own.pem", "ssl.key.password": "x"})
    assert pem == {"ssl.certificate.location": "own.pem", "ssl.key.location": "own.pem", "ssl.key.password": "x"}
    store = {"ssl.keystore.type": "PKCS12", "ssl.keystore.location": "own.p12", "ssl.keystore.password": "x"}
    assert client_options(store) == {"ssl.keystore.location": "own.p12", "ssl.keystore.password": "x"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sasl.pasword": "secret"}, "did you mean 'sasl.password'"),
        ({"ssl.truststore.locatoin": "x"}, "did you mean 'ssl.truststore.location'"),
        ({"bogus": "x"}, "no Kafka option 'bogus'"),
        ({"ssl.truststore.location": "store.jks"}, "keytool -exportcert"),
        ({"ssl.keystore.location": "store.jks"}, "PKCS12"),
        ({"sasl.jaas.config": "OAuthBearerLoginModule required;"}, "sasl.oauthbearer.method"),
        ({"sasl.jaas.config": f"{SCRAM} username=ada;"}, "no username and password"),
        ({"ssl.protocol": "TLSv1.3"}, "'ssl.protocol' has no counterpart"),
        ({"key.serializer": "x"}, "serialisation of their own"),
        ({"sasl.username": "a", "sasl.jaas.config": f'{SCRAM} username="b" password="p";'}, "given twice"),
    ],
)
def test_what_cannot_be_taken_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said) as caught:
        check_overrides(given)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_correctness_rests_on_cannot_be_overridden(name: str) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be overridden"):
        check_overrides({name: "1"})


def test_every_known_name_is_one_of_the_clients() -> None:
    """Whether it takes the value or not, it knows the name."""
    strange = []
    for name in sorted(KNOWN):
        try:
            Producer({name: "\x01"})
        except KafkaException as error:
            if "No such configuration property" in error.args[0].str():
                strange.append(name)
        except (TypeError, ValueError):
            continue
    assert strange == []
    assert KNOWN.isdisjoint(FIXED)


def test_secrets_are_masked() -> None:
    shown = masked(
        {"sasl.jaas.config": "p", "sasl.password": "p", "ssl.keystore.key": "p", "ssl.keystore.password": "p", "a": "b"}
    )
    assert sorted(shown.values()) == ["***", "***", "***", "***", "b"]
    assert "hidden" not in repr(KafkaLogClient("b:1", {"sasl.jaas.config": f"{SCRAM} username=u password=hidden;"}))


def test_a_line_of_the_log_says_who_is_refused() -> None:
    line = (
        "FAIL [rdkafka#producer-2] [thrd:sasl_ssl://b:9/bootstrap]: sasl_ssl://b:9/bootstrap: SASL authentication"
        " error: Authentication failed (after 316ms in state AUTH_REQ)"
    )
    error = refusal(line, {"sasl.username": "ada", "sasl.password": "secret"})
    assert error is not None
    assert error.code == "authentication_failed"
    assert error.reason == "SASL authentication error: Authentication failed"
    assert "'ada'" in error.message
    assert "secret" not in str(error.details) + error.message
    assert refusal("FAIL [x]: b:9/bootstrap: Connect to b:9 failed: Connection refused", {}) is None
