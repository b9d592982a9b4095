"""What the machine remembers of revocations, and the letters that hold its low-water offset."""

import tracemalloc

from tests.unit.steps.commands import SOURCE, command
from tests.unit.steps.test_machine import assigned, at, machine, mark

from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.records import StepRevoked
from logkeel.records.topics import DAY_MS, REVOCATIONS_KEPT_DAYS, TopicNames, topic_policies
from logkeel.simulation import SimulatedCluster
from logkeel.steps.letters import LetterSender
from logkeel.steps.machine import Key
from logkeel.steps.machine import messages as m
from logkeel.steps.machine.tables import Revocations

LETTER = OutputRecord("dead-letters", None, b"?")


def revoked(number: int) -> StepRevoked:
    return StepRevoked(run_id=f"run-{number}", incarnation="i", path="flow/charge", dispatch=1, reason="cancelled")


def test_no_revocation_is_forgotten_while_the_log_may_still_have_its_command() -> None:
    """P36: however many there are."""
    it = Revocations()
    for number in range(150_000):
        it.add(revoked(number), at_ms=0)
    it.add(revoked(-1), at_ms=(REVOCATIONS_KEPT_DAYS + 1) * DAY_MS)
    assert it.covers(Key("run-0", "i", "flow/charge", 1))
    assert not it.covers(Key("run-0", "i", "flow/charge", 2))
    it.add(revoked(-1), at_ms=(REVOCATIONS_KEPT_DAYS + 2) * DAY_MS)
    assert not it.covers(Key("run-0", "i", "flow/charge", 1))


def test_commands_leave_the_log_before_their_revocations() -> None:
    names = TopicNames("app")
    kept = {policy.name: policy.config for policy in topic_policies(names, ["default"])}
    commands = kept[names.step_commands()]
    longest_ms = int(commands["retention.ms"]) + int(commands["segment.ms"])
    assert longest_ms < REVOCATIONS_KEPT_DAYS * DAY_MS == int(kept[names.step_control]["retention.ms"])


def test_a_revocation_takes_less_than_300_bytes() -> None:
    it = Revocations()
    tracemalloc.start()
    for number in range(20_000):
        it.add(revoked(number), at_ms=0)
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken_bytes / 20_000 < 300


def test_the_low_water_waits_for_a_dead_letter() -> None:
    it = machine()
    assigned(it)
    at(it, 0)
    assert it.handle(m.StrangerArrived(SOURCE, 0, LETTER)) == (m.SendLetter(SOURCE, 0, LETTER),)
    it.handle(m.CommandArrived(SOURCE, 1, command(1)))
    assert m.Commit(((SOURCE, 0, mark(1)),)) in at(it, 200)
    assert it.handle(m.StrangerArrived(SOURCE, 0, LETTER)) == ()
    it.handle(m.LetterKept(SOURCE, 0))
    assert m.Commit(((SOURCE, 1, mark(1)),)) in at(it, 400)


def test_a_letter_is_told_once_it_is_durable() -> None:
    client = SimulatedCluster().client()
    client.admin().create_topics([TopicPlan("dead-letters", 1)])
    letters = LetterSender(client.producer())
    letters.send(m.SendLetter(SOURCE, 3, LETTER))
    assert letters.poll() == [m.LetterKept(SOURCE, 3)]
    assert letters.flush(1.0) == []
    reader = client.reader("read_committed")
    reader.assign({TopicPartition("dead-letters", 0): 0})
    assert [record.value for record in reader.fetch(10, 0.0).records] == [b"?"]


def test_a_letter_that_nothing_takes_goes_without_its_bytes() -> None:
    client = SimulatedCluster().client()
    client.admin().create_topics([TopicPlan("dead-letters", 1, config={"max.message.bytes": "1000"})])
    letters = LetterSender(client.producer())
    letters.send(m.SendLetter(SOURCE, 4, LETTER._replace(value=bytes(5_000))))
    assert [*letters.poll(), *letters.poll()] == [m.LetterKept(SOURCE, 4)]
    reader = client.reader("read_committed")
    reader.assign({TopicPartition("dead-letters", 0): 0})
    (record,) = reader.fetch(10, 0.0).records
    assert (record.value, [name for name, _ in record.headers]) == (None, ["dead.omitted"])
