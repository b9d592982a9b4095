"""Rules of the run processor that show on the log: an engine on the simulated cluster, requests in, records out.

Each test is the one that `tests/protocol.toml` names for its rule, so it fails under that rule's mutation.
"""

import pytest
from msgspec.structs import replace
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.scripts import flow_of, plan_of, started, step_block

from logkeel.errors import PartitionCountChanged
from logkeel.log import TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import SignalRun, StepCommand, StepRefused
from logkeel.runs.processor.commands import idempotency_key
from logkeel.runs.processor.identity import REROUTED_HEADER
from logkeel.wire import decode_as

ONE = plan_of(flow_of(step_block("a")))
OTHER = plan_of(flow_of(step_block("b")))


def test_a_request_that_arrives_twice_happens_once() -> None:
    """P26: a sender repeats what it got no answer to."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    for _ in range(2):
        engine.ask(SignalRun(run_id="r", name="go", request_id="q2"))
    assert engine.history() == ["run_started", "step_dispatched", "signal_received"]


def test_an_answer_to_a_former_run_of_that_name_does_not_count() -> None:
    """P26: a run id may be used again after its rows are gone."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    (command,) = engine.commands()
    former = replace(command, identity=replace(command.identity, incarnation="0-0-0"))
    engine.succeed(former)
    assert engine.completions() == []
    engine.succeed(command)
    assert [done.status for done in engine.completions()] == ["succeeded"]


def test_a_request_is_handled_on_its_home_partition_after_one_hop() -> None:
    """P27: other clients have other partitioners."""
    engine = Engine(partitions=2)
    engine.publish(ONE)
    home = partition_for(b"r", 2)
    engine.ask(a_start(), partition=1 - home)
    assert {record.partition for record in engine.records(engine.names.run_events)} == {home}
    assert [command.home_partition for command in engine.commands()] == [home]
    hopped = ((REROUTED_HEADER, b"app.run-requests-0-7"),)
    lost = engine.ask(a_start(request_id="q2"), partition=1 - home, headers=hopped)
    assert [letter.value for letter in engine.records(engine.names.dead_letters)] == [lost]
    assert len(engine.commands()) == 1


def test_an_engine_refuses_the_runs_of_another_partition_count() -> None:
    """P27: homes are places among so many partitions, and Kafka adds some when it is told to."""
    engine = Engine(partitions=1)
    engine.publish(ONE)
    engine.ask(a_start())
    engine.loop.close()
    engine.partitions = 2
    engine.loop = engine.boot()
    with pytest.raises(PartitionCountChanged, match=r"have 2 partitions.* were placed among 1"):
        engine.turns()


def test_a_request_for_an_unknown_run_waits_a_minute_and_is_then_refused() -> None:
    """P27: a hop does not keep the order, so a signal may overtake its start."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(SignalRun(run_id="r", name="go", request_id="q2"))
    engine.ask(SignalRun(run_id="never", name="go", request_id="q3"))
    engine.ask(a_start())
    assert engine.history() == ["run_started", "step_dispatched", "signal_received"]
    assert engine.rejections() == []
    engine.cluster.advance(60_000)
    engine.turns()
    assert engine.rejections() == ["run_not_found"]


def test_a_second_start_of_a_finished_run_hears_its_end_again() -> None:
    """P28: neither a second run nor a second completion."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    engine.succeed(*engine.commands())
    engine.ask(a_start(request_id="q2"))
    first, second = engine.completions()
    assert (first.reannounced, second.reannounced) == (False, True)
    assert (first.incarnation, first.status) == (second.incarnation, second.status)
    engine.ask(a_start(topic="rabbits", request_id="q3"))
    assert engine.rejections() == ["run_id_taken"]
    assert len(engine.completions()) == 2


def test_a_key_is_that_of_the_step_and_not_of_its_name_or_attempt() -> None:
    """P30: round two of a loop is another effect, a second attempt is the same one."""
    info = started(ONE).state.info
    keys = {
        idempotency_key(info, "loop/1/a"),
        idempotency_key(info, "loop/2/a"),
        idempotency_key(replace(info, incarnation="0-0-1"), "loop/1/a"),
        idempotency_key(replace(info, run_id="s"), "loop/1/a"),
    }
    assert len(keys) == 4
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    (first,) = engine.commands()
    engine.release(first)
    _, second = engine.commands()
    assert second.identity.dispatch == 2
    assert second.idempotency_key == first.idempotency_key


def test_a_published_version_keeps_its_content() -> None:
    """P38: what was published first stays, and a run that waited for it gets it."""
    engine = Engine()
    engine.ask(a_start())
    assert engine.history() == []
    digest = engine.publish(ONE)
    assert engine.history() == ["run_started", "step_dispatched"]
    engine.publish(OTHER)
    engine.ask(a_start("s", request_id="q2"))
    assert [command.definition_digest for command in engine.commands()] == [digest, digest]


def test_a_run_goes_on_where_its_definition_is_not_published_any_more() -> None:
    """P38: the table has a copy."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    engine.loop.close()
    log = engine.cluster.log(TopicPartition(engine.names.workflow_definitions, 0))
    log.delete_before(log.end)
    engine.cluster.advance(11_000)
    engine.loop = engine.boot()
    engine.turns()
    engine.succeed(*engine.commands())
    assert [done.status for done in engine.completions()] == ["succeeded"]


def test_a_refused_command_goes_to_another_partition_each_time() -> None:
    """P38: the same partition has the same worker, which would refuse it for ever."""
    engine = Engine(partitions=3)
    engine.publish(ONE)
    engine.ask(a_start())
    for number in range(4):
        command = next(c for c in engine.commands() if c.identity.dispatch == number + 1)
        engine.answer(command, StepRefused(identity=command.identity, holder="w", reason="no a of work@1"))
        engine.cluster.advance(30_000)
        engine.turns()
    records = list(engine.records(engine.names.step_commands()))
    places = {decode_as(r.value or b"", StepCommand).identity.dispatch: r.partition for r in records}
    by_dispatch = [places[number] for number in range(1, 6)]
    assert sorted(by_dispatch[:3]) == [0, 1, 2]
    assert by_dispatch[3:] == by_dispatch[:2]
    assert {command.identity.attempt for command in engine.commands()} == {1}
