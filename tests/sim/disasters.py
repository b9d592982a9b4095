"""What comes when everything has ended: weeks that pass, or a loss that no engine may pass over (P2, P17)."""

from collections.abc import Callable

from tests.sim.driver import Sender
from tests.sim.plan import Plan, RunPlan, Sending

from logkeel.log import TopicPartition, TopicPlan
from logkeel.runs.processor.run_processor import TABLE
from logkeel.testing.world import EngineProcess, World
from logkeel.testing.world.ending import rests

EXPECTED = {"state_lost": "state_lost", "last_copy": "changelog_truncated", "changelog_replaced": "changelog_replaced"}
LEAVING_MS = 8_000.0
LATE = RunPlan("run-late", "chain", 21, (Sending("start", 0.0),))


def epilogue(world: World, plan: Plan, sender: Sender, ended: Callable[[tuple[RunPlan, ...]], bool]) -> list[str]:
    """Let it come; what is wrong about the reaction."""
    if plan.scenario == "usual":
        return []
    if plan.scenario == "weeks_pass":
        return _weeks_pass(world, sender, ended)
    if plan.scenario == "away":
        return _away(world, sender, ended)
    return _disaster(world, plan)


def _weeks_pass(world: World, sender: Sender, ended: Callable[[tuple[RunPlan, ...]], bool]) -> list[str]:
    """Everything with a retention is gone; then a disk is lost, and life goes on from the changelog."""
    world.let_weeks_pass()
    world.run(lambda: False, limit_ms=3_000)
    world.clean()
    for engine in world.engines:
        engine.kill(back_in_ms=100.0)
        engine.stores.lose()
    sender.start(LATE)
    if not world.run(lambda: ended((LATE,)), limit_ms=60_000):
        return ["a run is stuck after weeks", *world.stuck()]
    world.run(lambda: False, limit_ms=5_000)
    return []


def _away(world: World, sender: Sender, ended: Callable[[tuple[RunPlan, ...]], bool]) -> list[str]:
    """All processes are stopped in order, for so long that their groups' offsets are forgotten; then they go on.

    A run comes, or none: a group's lag is right in either case.
    """
    for process in world.processes:
        if not process.is_gone:
            process.leave(back_in_ms=LEAVING_MS)
    world.run(lambda: False, limit_ms=LEAVING_MS - 1_000)
    world.let_weeks_pass()
    for group in (world.names.engine_group, world.names.worker_group()):
        world.forget_offsets(group)
    if world.settings.seed % 2:
        return [] if rests(world) else ["the processes do not come to rest after weeks", *world.stuck()]
    sender.start(LATE)
    if not world.run(lambda: ended((LATE,)), limit_ms=60_000):
        return ["a run is stuck after weeks", *world.stuck()]
    return [] if rests(world) else ["the processes do not come to rest after weeks", *world.stuck()]


def _disaster(world: World, plan: Plan) -> list[str]:
    changelog = world.names.run_state
    for engine in world.engines:
        engine.kill(back_in_ms=100.0)
    before = len(world.records(world.names.run_events))
    _break(world, plan, changelog)
    kept = {
        (engine.name, number): engine.stores.rows(TABLE, number)
        for engine in world.engines
        for number in range(world.settings.partitions)
    }
    damaged = {(engine.name, number) for engine in world.engines for number in _damaged(world, engine)}
    world.run(lambda: False, limit_ms=25_000)
    expected, found = {EXPECTED[plan.scenario]}, []
    if damaged and plan.scenario == "changelog_replaced":
        # A store that cannot be read cannot tell which changelog it belongs to.
        expected.add("state_lost")
    if not any(error.code in expected for _, error in world.operator_errors):
        found.append(f"P2, P17: nobody stopped with {sorted(expected)}")
    if len(world.records(world.names.run_events)) != before:
        found.append("P2, P17: runs went on without their state")
    for (name, number), rows in kept.items():
        engine = next(each for each in world.engines if each.name == name)
        is_left = engine.stores.rows(TABLE, number) is not None
        if (name, number) in damaged:
            is_left = engine.stores.is_damaged(TABLE, number) or (TABLE, number, rows) in engine.stores.aside
        if rows is not None and not is_left:
            found.append(f"P17: the store of partition {number} of {name} was destroyed")
    return found


def _break(world: World, plan: Plan, changelog: str) -> None:
    if plan.scenario == "last_copy":
        for number in range(world.settings.partitions):
            log = world.cluster.log(TopicPartition(changelog, number))
            log.delete_before(log.end // 2 + 1)
        for engine in world.engines:
            engine.stores.damage()
    else:
        world.cluster.delete_topic(changelog)
        world.cluster.create_topic(TopicPlan(changelog, world.settings.partitions))
        if plan.scenario == "state_lost":
            for engine in world.engines:
                engine.stores.lose()


def _damaged(world: World, engine: EngineProcess) -> list[int]:
    return [number for number in range(world.settings.partitions) if engine.stores.is_damaged(TABLE, number)]
