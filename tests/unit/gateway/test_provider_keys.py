"""Keys of an OpenID provider, fetched from one that really serves them: rotated, withdrawn, unknown, unreachable."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.gateway.provider import Provider, publishing
from tests.unit.gateway.site import problem_of, site
from tests.unit.notify.certificates import self_signed

from logkeel.gateway.oidc import OidcTokens
from logkeel.gateway.provider_keys import ASKED_AGAIN_S, KEYS_KEPT_S


class Believer:
    """The tokens of a provider, and the time by which keys are kept."""

    def __init__(self, provider: Provider) -> None:
        self.now_s = 1_000.0
        self.tokens = OidcTokens(provider.settings, lambda: self.now_s)

    def believes(self, token: str) -> bool:
        """Whether this token is taken."""
        return self.tokens.principal(token) is not None


def test_keys_are_fetched_with_the_first_token_and_kept() -> None:
    with publishing() as provider:
        ours = Believer(provider)
        assert provider.asked == []
        for _ in range(3):
            principal = ours.tokens.principal(provider.token("k1"))
            assert principal is not None
            assert principal.name == "ada"
        assert provider.asked == ["/keys"]
        ours.now_s += KEYS_KEPT_S
        assert ours.believes(provider.token("k1"))
        assert len(provider.asked) == 2


def test_a_new_key_is_believed_at_once_or_a_moment_after_others_were_fetched() -> None:
    with publishing() as provider:
        ours = Believer(provider)
        assert ours.believes(provider.token("k1"))
        provider.rotate("k2")
        assert not ours.believes(provider.token("k2"))
        ours.now_s += ASKED_AGAIN_S
        assert ours.believes(provider.token("k2"))
        assert ours.believes(provider.token("k1")), "both are valid while the provider publishes both"
        ours.now_s += ASKED_AGAIN_S
        provider.rotate("k3")
        assert ours.believes(provider.token("k3")), "long after the last call nothing is waited for"
        assert len(provider.asked) == 3


def test_a_key_that_was_withdrawn_is_believed_no_longer_than_keys_are_kept() -> None:
    with publishing() as provider:
        ours = Believer(provider)
        assert ours.believes(provider.token("k1"))
        provider.rotate("k2")
        provider.withdrawn.add("k1")
        ours.now_s += KEYS_KEPT_S - 1
        assert ours.believes(provider.token("k1"))
        ours.now_s += 1
        assert not ours.believes(provider.token("k1"))
        assert ours.believes(provider.token("k2"))


def test_names_that_nobody_knows_do_not_make_us_ask_again_and_again() -> None:
    with publishing() as provider:
        ours, somebody = Believer(provider), ec.generate_private_key(ec.SECP256R1())
        for number in range(20):
            assert not ours.believes(provider.token(f"made-up-{number}", somebody))
        assert len(provider.asked) == 1
        ours.now_s += ASKED_AGAIN_S
        assert not ours.believes(provider.token("made-up", somebody))
        assert len(provider.asked) == 2
        assert not ours.believes(provider.token("k1", somebody)), "a known name with another key's signature"


def test_many_at_once_with_a_new_key_ask_once() -> None:
    with publishing() as provider, ThreadPoolExecutor(8) as threads:
        ours = Believer(provider)
        assert all(threads.map(ours.believes, [provider.token("k1")] * 32))
        assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, b"[]"),
        (200, b'{"keys": 7}'),
        (200, b'{"keys": [7]}'),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [{"kty": "none", "kid": "k1"}]}'),
    ],
)
def test_a_provider_that_says_nonsense_is_not_believed_and_its_kept_keys_are(status: int, body: bytes) -> None:
    with publishing() as provider:
        ours = Believer(provider)
        assert ours.believes(provider.token("k1"))
        provider.status, provider.body = status, body
        ours.now_s += ASKED_AGAIN_S
        assert not ours.believes(provider.token("k2", provider.keys["k1"]))
        assert ours.believes(provider.token("k1"))
        ours.now_s += KEYS_KEPT_S
        assert not ours.believes(provider.token("k1"))
        provider.status, provider.body = 200, None
        ours.now_s += ASKED_AGAIN_S
        assert ours.believes(provider.token("k1"))


def test_a_provider_that_is_gone_is_asked_once_in_a_while_and_known_keys_stay_good() -> None:
    with publishing() as provider:
        ours = Believer(provider)
        assert ours.believes(provider.token("k1"))
    ours.now_s += ASKED_AGAIN_S
    assert not ours.believes(provider.token("k2", provider.keys["k1"]))
    assert ours.believes(provider.token("k1"))
    ours.now_s += KEYS_KEPT_S
    assert not ours.believes(provider.token("k1"))


def test_where_the_keys_are_is_not_changed_by_the_one_who_serves_them() -> None:
    with publishing() as elsewhere, publishing() as provider:
        provider.redirect = f"http://localhost:{elsewhere.port}/keys"
        assert not Believer(provider).believes(elsewhere.token("k1"))
        assert elsewhere.asked == []


def test_over_https_the_provider_has_to_be_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, trusted = self_signed(tmp_path)
    with publishing(context) as provider:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        assert not Believer(provider).believes(provider.token("k1"))
        assert provider.asked == [], "nothing is asked of somebody whose certificate nobody vouches for"
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        assert Believer(provider).believes(provider.token("k1"))
        assert provider.asked == ["/keys"]


def test_a_call_with_a_token_of_the_provider_is_theirs(tmp_path: Path) -> None:
    with publishing() as provider:
        place = provider.settings
        given = {name: getattr(place, name) for name in ("oidc_jwks", "oidc_issuer", "oidc_audience")}
        with site(tmp_path, **given) as (_, client):
            headers = {"Authorization": f"Bearer {provider.token('k1')}"}
            assert client.get("/v1/runs", headers=headers).status_code == 200
            problem_of(client.post("/v1/runs", json={"workflow": "w"}, headers=headers), 403, "forbidden")
            other = ec.generate_private_key(ec.SECP256R1())
            headers = {"Authorization": f"Bearer {provider.token('k1', other)}"}
            problem_of(client.get("/v1/runs", headers=headers), 401, "unauthenticated")
