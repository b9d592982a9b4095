"""Links are made by us, for one person and one question, until a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.notify.links import Grant, LinkExpired, LinkInvalid, answer_request_id, signed, verified

GRANT = Grant(case_id="c1", who="ada@example.com", expires_ms=1_000)


@given(st.text(), st.text(), st.integers(1, 2**60))
def test_a_token_brings_its_grant_back(case_id: str, who: str, expires_ms: int) -> None:
    grant = Grant(case_id=case_id, who=who, expires_ms=expires_ms)
    assert verified(signed(grant, ["k"]), ["k"], now_ms=expires_ms - 1) == grant


@given(st.integers(0, 10_000), st.characters())
def test_a_changed_token_is_refused(position: int, letter: str) -> None:
    token = signed(GRANT, ["k"])
    position %= len(token)
    changed = token[:position] + letter + token[position + 1 :]
    if changed != token:
        with pytest.raises(LinkInvalid):
            verified(changed, ["k"], now_ms=0)


@pytest.mark.parametrize("token", ["", ".", "a", "a.b", "ä.ö", signed(GRANT, ["other"]), signed(GRANT, ["k"]) + "="])
def test_foreign_tokens_are_refused(token: str) -> None:
    with pytest.raises(LinkInvalid):
        verified(token, ["k"], now_ms=0)


def test_its_time_ends() -> None:
    with pytest.raises(LinkExpired):
        verified(signed(GRANT, ["k"]), ["k"], now_ms=1_000)


def test_keys_are_changed_without_breaking_links() -> None:
    old = signed(GRANT, ["k1"])
    assert verified(old, ["k2", "k1"], now_ms=0) == GRANT
    assert verified(signed(GRANT, ["k2", "k1"]), ["k2"], now_ms=0) == GRANT


def test_a_person_has_one_word_on_a_question() -> None:
    assert answer_request_id("c1", "ada") == answer_request_id("c1", "ada")
    assert len({answer_request_id("c1", "ada"), answer_request_id("c1", "bob"), answer_request_id("c2", "ada")}) == 3
    assert answer_request_id("c1", "1a") != answer_request_id("c11", "a")
