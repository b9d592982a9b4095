"""A loop is ready while it has its assignment and all of it runs; two loops share the partitions of one ledger."""

from tests.unit.exactly_once.test_protocol_loop import Process, World


def test_a_loop_is_ready_once_restored_and_not_while_partitions_move() -> None:
    world = World(partitions=2)
    world.deposit(3)
    first = Process(world)
    before_joining = first.loop.is_ready
    first.turns()
    assert (before_joining, first.loop.is_ready) == (False, True)
    assert first.active() == (0, 1)
    second = Process(world, slot=1)
    seen = []
    for _ in range(60):
        first.turns(1)
        second.turns(1)
        seen.append((first.loop.is_ready, second.loop.is_ready))
    assert (False, False) in seen, "both restore after the partitions moved"
    assert seen[-1] == (True, True)
    assert sorted(first.active() + second.active()) == [0, 1]


def test_a_loop_with_nothing_to_do_is_ready() -> None:
    world = World()
    first, second = Process(world), Process(world, slot=1)
    for _ in range(60):
        first.turns(1)
        second.turns(1)
    assert sorted((first.active(), second.active())) == [(), (0,)]
    assert first.loop.is_ready
    assert second.loop.is_ready
