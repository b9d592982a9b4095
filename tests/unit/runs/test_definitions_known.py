"""A start gets the newest definition there is; what waited for it starts in bites, each request by itself (P38)."""

from msgspec.structs import replace
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.scripts import flow_of, plan_of, step_block, text

from logkeel.records import StartRun
from logkeel.runs import DefinitionReader, RunSettings
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.run_processor import CATCHING_UP_MS
from logkeel.runs.rows.ledger import awaited_workflow
from logkeel.wire import encode


def version(label: str) -> Plan:
    """One step, under this version."""
    plan = plan_of(flow_of(step_block("a")))
    return Plan(replace(plan.document, version=label), "digest")


def test_who_waited_for_a_workflow_gets_the_newest_version_of_what_comes_at_once() -> None:
    engine = Engine()
    engine.ask(a_start())
    for label in ("1", "2", "3"):
        engine.put(version(label))
    engine.turns()
    assert [command.version for command in engine.commands()] == ["3"]


def test_a_restarted_engine_starts_nothing_before_it_has_read_all_definitions() -> None:
    engine = Engine()
    for number in range(1_100):
        engine.put(version(f"{number}"))
    engine.loop.close()
    engine.send(a_start())
    engine.loop = engine.boot()
    engine.turns(60)
    assert [command.version for command in engine.commands()] == ["1099"]


def test_what_waited_while_no_engine_was_there_is_not_refused_before_definitions_are_read() -> None:
    engine = Engine()
    engine.ask(a_start())
    engine.loop.close()
    for number in range(4_000):
        engine.put(version(f"{number}"))
    engine.cluster.advance(61_000)
    engine.loop = engine.boot()
    engine.turns(60)
    assert engine.rejections() == []
    assert [command.version for command in engine.commands()] == ["3999"]


def test_who_waits_in_a_long_line_for_a_workflow_that_is_known_is_not_refused() -> None:
    """More starts than an engine begins in a minute came before their workflow did."""
    engine = Engine(settings=RunSettings(unpark_requests=1))
    for number in range(9):
        engine.ask(a_start(f"run-{number}", request_id=f"q{number}"))
    engine.put(version("1"))
    while not engine.commands():
        engine.turns(1)
    assert len(engine.commands()) < 9
    engine.cluster.advance(61_000)
    engine.turns(60)
    assert engine.rejections() == []
    assert len(engine.commands()) == 9


def test_what_nobody_publishes_is_refused_by_a_new_engine_too() -> None:
    engine = Engine()
    engine.ask(a_start())
    engine.loop.close()
    engine.cluster.advance(61_000)
    engine.loop = engine.boot()
    engine.turns(60)
    engine.cluster.advance(CATCHING_UP_MS)
    engine.turns()
    assert engine.rejections() == ["unknown_workflow"]


def test_a_reader_offers_nothing_before_its_end() -> None:
    engine = Engine()
    for number in range(1_500):
        engine.put(version(f"{number}"))
    reader = DefinitionReader(
        engine.client.reader("read_committed"), engine.client.admin(), engine.names.workflow_definitions
    )
    offered: list[object] = []
    while not offered:
        offered = list(reader.take())
        assert bool(offered) == reader.caught_up
        assert len(reader.current()) == len(offered)
    assert len(offered) == 2 * 1_500 + 1


def test_a_start_that_waits_for_one_version_is_not_moved_by_another() -> None:
    engine = Engine()
    engine.ask(replace(a_start(), version="2"))
    engine.publish(version("1"))
    assert engine.commands() == []
    engine.publish(version("2"))
    engine.publish(version("3"))
    assert [command.version for command in engine.commands()] == ["2"]


def test_what_waits_starts_in_bites() -> None:
    engine = Engine(settings=RunSettings(unpark_requests=3))
    for number in range(10):
        engine.send(a_start(f"r{number}", request_id=f"q{number}"), partition=0)
    engine.turns()
    engine.put(version("1"))
    most = before = started = 0
    for _ in range(200):
        engine.turns(1)
        started = len(engine.commands())
        most, before = max(most, started - before), started
    assert started == 10
    assert 0 < most <= 3
    assert [command.identity.run_id for command in engine.commands()] == [f"r{number}" for number in range(10)]


def test_one_that_cannot_be_processed_takes_no_other_along() -> None:
    engine = Engine()
    # Fits into the row of a parked request, and not into the first event of a run.
    empty = StartRun(workflow="work", run_id="bad" * 150, request_id="q0", inputs=(text("topic", ""),))
    room = 999_700 - len(encode(empty))
    bad = replace(empty, inputs=(text("topic", "x" * room),))
    engine.ask(bad)
    engine.ask(a_start())
    assert (engine.history(), engine.rejections()) == ([], [])
    engine.publish(version("1"))
    assert [command.identity.run_id for command in engine.commands()] == ["r"]
    assert engine.rejections() == ["record_too_large"]


def test_no_two_names_wait_under_one_key() -> None:
    pairs = [("a", None), ("a", "1"), ("a@b", "c"), ("a", "b@c"), ("1:a@", "1"), ("a@1", None)]
    assert len({awaited_workflow(*pair) for pair in pairs}) == len(pairs)
