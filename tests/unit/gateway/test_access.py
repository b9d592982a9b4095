"""Who may do what: tokens, JWTs, roles, limits, and a door that does not open for everybody."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, problem_of, site

from logkeel.errors import ConfigInvalid, Forbidden, GatewayUnprotected, TooManyRequests, Unauthenticated
from logkeel.gateway.access import GRANTS, Principal, Role, StaticTokens, authenticated, roles_of, token_line
from logkeel.gateway.limits import RateLimit
from logkeel.gateway.oidc import OidcTokens
from logkeel.gateway.settings import GatewaySettings, refuse_open_door

TOKENS = ";".join(token_line(role, [role], f"{role}-secret") for role in Role)
BODY = {"workflow": "work", "input": {}}
CALLS: list[tuple[str, str, Any, Role]] = [
    ("GET", "/v1/runs", None, Role.VIEWER),
    ("GET", "/v1/counts", None, Role.VIEWER),
    ("GET", "/v1/workflows", None, Role.VIEWER),
    ("GET", "/v1/approvals", None, Role.VIEWER),
    ("GET", "/metrics", None, Role.VIEWER),
    ("POST", "/v1/runs", BODY, Role.OPERATOR),
    ("POST", "/v1/runs/r/cancel", {}, Role.OPERATOR),
    ("POST", "/v1/runs/r/pause", {}, Role.OPERATOR),
    ("POST", "/v1/runs/r/resume", {}, Role.OPERATOR),
    ("POST", "/v1/runs/r/retry", {}, Role.OPERATOR),
    ("POST", "/v1/runs/r/fork", {}, Role.OPERATOR),
    ("POST", "/v1/runs/r/signals", {"name": "s"}, Role.OPERATOR),
    ("POST", "/v1/runs/r/resolve", {"path": "a", "decision": "retry"}, Role.OPERATOR),
    ("POST", "/v1/approvals/r/a/answer", {"verb": "approve"}, Role.APPROVER),
]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Site, TestClient]]:
    with site(tmp_path, tokens=TOKENS) as pair:
        yield pair


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
def test_each_call_needs_its_role(
    opened: tuple[Site, TestClient], call: tuple[str, str, Any, Role], role: Role
) -> None:
    method, path, body, needed = call
    headers = {"Authorization": f"Bearer {role}-secret"}
    answer = opened[1].request(method, path, json=body, headers=headers)
    if needed in GRANTS[role]:
        assert answer.status_code in (200, 202, 404), answer.text
    else:
        problem_of(answer, 403, "forbidden")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer nonsense", "Basic dmlld2VyLXNlY3JldA==", "viewer-secret"]
)
def test_who_does_not_say_who_they_are_is_refused_everywhere_but_by_probes(
    opened: tuple[Site, TestClient], header: str | None
) -> None:
    client = opened[1]
    headers = {} if header is None else {"Authorization": header}
    for method, path, body, _ in CALLS:
        answer = client.request(method, path, json=body, headers=headers)
        assert problem_of(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/livez").status_code == 200


def test_readiness_waits_for_the_read_model_and_asks_for_its_pulse(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    assert client.get("/readyz").status_code == 200
    made.seconds = 1_000.0
    problem_of(client.get("/readyz"), 503, "read_model_behind")
    made.parts.pulse.turned_s = 1_000.0
    made.parts.pulse.caught_up = False
    problem_of(client.get("/readyz"), 503, "read_model_behind")
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org", ""])  # noqa: S104 - that is what is refused
def test_a_door_that_is_open_to_everybody_is_refused(host: str) -> None:
    with pytest.raises(GatewayUnprotected, match="for anybody"):
        refuse_open_door(GatewaySettings(host=host))
    refuse_open_door(GatewaySettings(host=host, tokens=TOKENS))
    refuse_open_door(GatewaySettings(host=host, oidc_jwks="keys.json"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_no_tokens(host: str) -> None:
    refuse_open_door(GatewaySettings(host=host))


def test_a_page_whose_name_points_here_reaches_nothing(tmp_path: Path) -> None:
    with site(tmp_path) as (_, client):
        for host in ("evil.example", "evil.example:8420", "[::2]:8420", ""):
            problem_of(client.get("/v1/runs", headers={"Host": host}), 400, "caller_error")
        for host in ("localhost", "LOCALHOST:8420", "127.0.0.1:8420", "[::1]:8420"):
            assert client.get("/v1/runs", headers={"Host": host}).status_code == 200
        # What a form of another page can send is no JSON.
        sent = client.post("/v1/runs", content=json.dumps(BODY), headers={"content-type": "text/plain"})
        problem_of(sent, 422, "invalid_input")


def test_a_token_is_known_by_its_hash_and_the_list_opens_no_door() -> None:
    line = token_line("ada:of:london", [Role.VIEWER, Role.APPROVER], "secret")
    assert "secret" not in line
    tokens = StaticTokens(["# people", "", line])
    ada = tokens.principal("secret")
    assert ada == Principal("ada:of:london", frozenset({Role.VIEWER, Role.APPROVER}))
    assert tokens.principal(line.rpartition(":")[2]) is None
    assert ada is not None
    with pytest.raises(Forbidden, match="has not the role operator"):
        ada.require(Role.OPERATOR)
    assert repr(GatewaySettings(tokens=line)).count("***") == 1
    assert line not in repr(GatewaySettings(tokens=line))


@pytest.mark.parametrize("line", ["ada", "ada:viewer", "ada:king:" + "0" * 64, "ada:viewer:abc", ":viewer:" + "0" * 64])
def test_a_line_that_is_none_is_an_error_and_not_a_hole(line: str) -> None:
    with pytest.raises(ConfigInvalid, match="logkeel gateway token"):
        StaticTokens([line])


@pytest.fixture(scope="module")
def keys() -> tuple[Any, Any]:
    """The provider's key, and somebody else's."""
    return tuple(rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))  # type: ignore[return-value]


@pytest.fixture
def provider(tmp_path: Path, keys: tuple[Any, Any]) -> OidcTokens:
    public = json.loads(RSAAlgorithm.to_jwk(keys[0].public_key())) | {"kid": "k1", "alg": "RS256", "use": "sig"}
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [public]}))
    return OidcTokens(
        GatewaySettings(
            oidc_jwks=str(file),
            oidc_issuer="https://id.example",
            oidc_audience="logkeel",
            oidc_roles_claim="realm_access.roles",
        )
    )


def claims(**given: Any) -> dict[str, Any]:
    known = {
        "iss": "https://id.example",
        "aud": "logkeel",
        "sub": "u-1",
        "email": "ada@example.org",
        "exp": int(time.time()) + 300,
        "realm_access": {"roles": ["approver", "unheard-of"]},
    }
    return {name: value for name, value in {**known, **given}.items() if value is not None}


def signed(key: Any, algorithm: str = "RS256", kid: str | None = "k1", **given: Any) -> str:
    return jwt.encode(claims(**given), key, algorithm=algorithm, headers={} if kid is None else {"kid": kid})


def test_a_jwt_of_the_provider_names_its_holder_and_their_roles(provider: OidcTokens, keys: tuple[Any, Any]) -> None:
    ada = authenticated(f"Bearer {signed(keys[0])}", [StaticTokens([]), provider])
    assert ada == Principal("ada@example.org", frozenset({Role.VIEWER, Role.APPROVER}))
    nobody = provider.principal(signed(keys[0], realm_access=None, email=None))
    assert nobody == Principal("u-1", frozenset())
    assert provider.principal(signed(keys[0], realm_access={"roles": "admin"})) == Principal(
        "ada@example.org", frozenset(Role)
    )


@pytest.mark.parametrize(
    "given",
    [
        {"exp": 1},
        {"exp": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"nbf": 2**40},
    ],
    ids=str,
)
def test_a_jwt_that_is_old_or_for_somebody_else_is_not_believed(
    provider: OidcTokens, keys: tuple[Any, Any], given: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        authenticated(f"Bearer {signed(keys[0], **given)}", [provider])


def test_a_jwt_that_is_signed_otherwise_is_not_believed(provider: OidcTokens, keys: tuple[Any, Any]) -> None:
    assert provider.principal(signed(keys[1])) is None
    assert provider.principal(signed(keys[0], kid="k2")) is None
    head, body, signature = signed(keys[0]).split(".")
    forged = part(json.dumps(claims(realm_access={"roles": ["admin"]})).encode())
    assert provider.principal(f"{head}.{forged}.{signature}") is None
    unsigned = part(b'{"alg":"none","kid":"k1"}')
    assert provider.principal(f"{unsigned}.{body}.") is None
    # The public key, known to everybody, as a secret.
    pem = keys[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    symmetric = part(b'{"alg":"HS256","kid":"k1"}') + f".{forged}"
    signature = part(hmac.digest(pem, symmetric.encode(), "sha256"))
    assert provider.principal(f"{symmetric}.{signature}") is None


def part(data: bytes) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_keys_are_fetched_by_https_only_and_issuer_and_audience_are_needed() -> None:
    with pytest.raises(ConfigInvalid, match="https only"):
        OidcTokens(GatewaySettings(oidc_jwks="http://id.example/keys", oidc_issuer="i", oidc_audience="a"))
    with pytest.raises(ConfigInvalid, match="oidc_issuer"):
        OidcTokens(GatewaySettings(oidc_jwks="https://id.example/keys"))
    with pytest.raises(ConfigInvalid, match="holds no keys"):
        OidcTokens(GatewaySettings(oidc_jwks="/nowhere/keys", oidc_issuer="i", oidc_audience="a"))


def test_every_role_may_look_and_admin_may_all() -> None:
    assert all(Role.VIEWER in grants for grants in GRANTS.values())
    assert roles_of(["admin"]) == frozenset(Role)
    assert roles_of(["nothing", 7, None]) == frozenset()


def test_a_caller_who_calls_too_often_waits_and_others_do_not() -> None:
    limit = RateLimit(per_s=2.0, burst=3)
    for _ in range(3):
        limit.take("a", 10.0)
    with pytest.raises(TooManyRequests) as refused:
        limit.take("a", 10.0)
    assert refused.value.retry_after_s == pytest.approx(0.5)
    limit.take("b", 10.0)
    limit.take("a", 10.5)
    with pytest.raises(TooManyRequests):
        limit.take("a", 10.5)
    with pytest.raises(TooManyRequests):
        limit.take("a", 3.0)
    for _ in range(3):
        limit.take("a", 1_000.0)
    for _ in range(100):
        RateLimit(per_s=0.0, burst=1).take("a", 0.0)


def test_over_http_it_is_429_with_a_time_to_come_again(tmp_path: Path) -> None:
    with site(tmp_path, tokens=TOKENS, rate_per_s=0.5, rate_burst=2) as (made, client):
        headers = {"Authorization": "Bearer viewer-secret"}
        for _ in range(2):
            assert client.get("/v1/counts", headers=headers).status_code == 200
        answer = client.get("/v1/counts", headers=headers)
        problem_of(answer, 429, "too_many_requests")
        assert answer.headers["retry-after"] == "2"
        assert client.get("/v1/counts", headers={"Authorization": "Bearer admin-secret"}).status_code == 200
        for _ in range(2):
            problem_of(client.get("/v1/counts"), 401, "unauthenticated")
        problem_of(client.get("/v1/counts"), 429, "too_many_requests")
        made.seconds = 2.0
        assert client.get("/v1/counts", headers=headers).status_code == 200
