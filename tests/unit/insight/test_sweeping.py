"""What a sweep says: figures of a window, standstills that are news, and where no engine reads."""

import pytest

from logkeel.errors import ConfigInvalid
from logkeel.insight.alerts import body_of, id_of
from logkeel.insight.engines import Look, standing_partitions
from logkeel.insight.login import credentials_of
from logkeel.insight.rows import Told
from logkeel.insight.standing import Stuck
from logkeel.insight.sweeping import figures, last_whole, standstills
from logkeel.insight.windows import Tally
from logkeel.log import TopicPartition
from logkeel.notify.signing import verify_webhook, webhook_headers

STUCK = Stuck(run_id="a.b c", incarnation="i", workflow="w", reason="worker", path="0/ask", since_ms=1_000)
LATER = Stuck(run_id="a.b c", incarnation="i", workflow="w", reason="worker", path="0/ask", since_ms=9_000)
PLACE, OTHER = TopicPartition("in", 0), TopicPartition("in", 1)


def look(end: int, position: int, *, held: bool = True) -> Look:
    return Look(ends={PLACE: end}, positions={PLACE: position}, held=frozenset({PLACE} if held else ()))


def test_a_lag_alone_is_no_standstill_but_a_lag_that_grows_is() -> None:
    none: frozenset[int] = frozenset()
    assert standing_partitions(None, look(5, 4), none) == none
    assert standing_partitions(look(5, 4), look(5, 4), none) == none  # a marker at the end
    assert standing_partitions(look(5, 4), look(9, 4), none) == {0}
    assert standing_partitions(look(9, 4), look(9, 4), frozenset({0})) == {0}
    assert standing_partitions(look(9, 4), look(9, 5), frozenset({0})) == none
    assert standing_partitions(look(9, 4), look(9, 9), frozenset({0})) == none


def test_a_partition_that_nobody_holds_stands_as_soon_as_it_has_input() -> None:
    assert standing_partitions(None, look(5, 4, held=False), frozenset()) == {0}
    assert standing_partitions(None, look(4, 4, held=False), frozenset()) == frozenset()
    assert standing_partitions(None, Look(ends={OTHER: 1}), frozenset()) == {1}


def test_standstills_are_told_once_and_taken_back() -> None:
    told = Told(stuck=STUCK, alerted=True)
    assert standstills({b"k": STUCK}, {}) == ({b"k": STUCK}, frozenset(), {b"k": STUCK})
    assert standstills({b"k": STUCK}, {b"k": told}) == ({}, frozenset(), {})
    assert standstills({b"k": STUCK}, {b"k": Told(stuck=STUCK)}) == ({}, frozenset(), {b"k": STUCK})
    assert standstills({b"k": LATER}, {b"k": told}) == ({b"k": LATER}, frozenset(), {b"k": LATER})
    assert standstills({}, {b"k": told}) == ({}, frozenset({b"k"}), {})


def test_partitions_are_added_up() -> None:
    one = Tally(
        workflow="w", step="s", start_ms=0, started=2, ended={"failed": 1}, timed=1, total_ms=4_000, max_ms=4_000
    )
    two = Tally(
        workflow="w", step="s", start_ms=0, started=1, timed=1, total_ms=2_000, max_ms=2_000, used={"tokens": 5}
    )
    found = figures([one, two], [], [STUCK])
    assert found.started == {("w", "s"): 3}
    assert found.ended == {("w", "s", "failed"): 1}
    assert (found.mean_s, found.max_s) == ({("w", "s"): 3.0}, {("w", "s"): 4.0})
    assert found.used == {("w", "s", "tokens"): 5}
    assert found.stuck == {("w", "worker"): 1}


def test_the_last_whole_window_is_over_and_not_older() -> None:
    assert last_whole([0, 60_000, 120_000], 130_000, 60_000) == 60_000
    assert last_whole([0], 130_000, 60_000) is None


def test_an_alert_can_be_signed_whatever_the_run_is_called() -> None:
    keys, body = [b"k" * 24], body_of(STUCK)
    headers = webhook_headers(keys, id_of(STUCK), 100, body)
    assert verify_webhook(keys, headers, body, now_s=100) == id_of(STUCK) != id_of(LATER)
    assert b'"type":"run.stuck","timestamp":"1970-01-01T00:00:01.000Z"' in body


def test_logins_are_carried_over_or_refused() -> None:
    assert credentials_of({"client.id": "x"}) is None
    options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ada"}
    found = credentials_of({**options, "sasl.password": "p"})
    assert (found.protocol.value, found.mechanism.value, found.username) == ("SASL_PLAINTEXT", "SCRAM-SHA-512", "ada")  # type: ignore[union-attr]
    with pytest.raises(ConfigInvalid, match=r"ssl\.keystore\.location"):
        credentials_of({"ssl.keystore.location": "k"})
    with pytest.raises(ConfigInvalid, match="GSSAPI"):
        credentials_of({"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"})
