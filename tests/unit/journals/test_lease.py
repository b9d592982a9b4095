"""Whether an execution may still be its step's only one (P39)."""

from logkeel.steps.journal.lease import LEASE_S, Lease


def test_a_lease_goes_on_from_what_was_acknowledged_in_time() -> None:
    lease = Lease(100.0)
    lease.confirm(102.0, 102.1)
    assert lease.holds(102.0 + LEASE_S - 0.1)
    assert not lease.holds(102.0 + LEASE_S)


def test_heartbeats_that_waited_for_a_connection_prove_nothing() -> None:
    lease = Lease(100.0)
    for sent_at_s in range(102, 124, 2):
        lease.confirm(sent_at_s, 124.0)
    assert not lease.holds(124.0)


def test_a_lease_that_was_lost_stays_lost() -> None:
    lease = Lease(100.0)
    lease.confirm(104.0, 100.0 + LEASE_S)
    lease.confirm(106.0, 106.1)
    assert not lease.holds(106.2)
