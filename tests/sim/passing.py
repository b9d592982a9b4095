"""Both at once: each turn that is passed over is taken back, and run; what the two leave must be the same.

What a turn leaves is what its process remembers, what it has drawn, and what the cluster has.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from logkeel.testing.world import EngineProcess, Process, WorkerProcess, World

COPIED = (list, dict, set, deque)
_Fields = dict[tuple[int, str], Any]


class Twice:
    """Takes the place of `Process.is_passed_over`, and plays one in `every` turns so.

    `alike` counts them, `wrong` says which would have done something, or left something else. Nothing is raised: that
    would end the process that waits meanwhile.
    """

    def __init__(self, every: int = 1) -> None:
        self.alike = 0
        self.wrong: list[str] = []
        self._every = every
        self._asked = 0
        self._is_passed_over = Process.is_passed_over

    def stands_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until the test ends."""

        def is_passed_over(process: Process) -> bool:
            return self._both(process)

        monkeypatch.setattr(Process, "is_passed_over", is_passed_over)

    def _both(self, process: Process) -> bool:
        self._asked += 1
        if self._asked % self._every:
            return self._is_passed_over(process)
        remembering = list(_remembering(process))
        before, drawn = _fields(remembering), _drawn(process.world)
        if not self._is_passed_over(process):
            return False
        expected = (_fields(remembering), _drawn(process.world), _happened(process.world))
        _restore(remembering, before, drawn, process.world)
        moved = process.turn()
        found = (_fields(remembering), _drawn(process.world), _happened(process.world))
        if moved or found != expected:
            self.wrong.append(f"{process.name} at {process.world.elapsed_ms:.1f} ms: {_told(expected, found)}")
        self.alike += 1
        return True


def _remembering(process: Process) -> Iterator[Any]:
    """Whatever of a process may remember a turn; what lies deeper is reached only by turns that do something."""
    client = process.client
    if client is None:
        return
    yield from (client, *client.consumers, *client.readers, *client.senders, *client.producers)
    yield from (each.cursors for each in client.consumers)
    yield from (each.cursors for each in client.readers)
    if isinstance(process, EngineProcess) and (loop := process._loop) is not None:
        yield from (loop, loop._owned, loop._pair, loop._side_source, loop._owned.assignment, process.watch)
        yield from loop._owned.states.values()
    if isinstance(process, WorkerProcess) and (worker := process._worker) is not None:
        yield from (worker, worker._machine, worker._control, worker._member, worker._sender, worker._letters)
        yield from (worker._executor, worker._streams, *worker._machine._tables.values())


def _fields(remembering: list[Any]) -> _Fields:
    found: _Fields = {}
    for each in remembering:
        names = vars(each) if hasattr(each, "__dict__") else each.__slots__
        for name in names:
            value = getattr(each, name)
            found[id(each), name] = value.copy() if isinstance(value, COPIED) else value
    return found


def _restore(remembering: list[Any], fields: _Fields, drawn: tuple[Any, Any], world: World) -> None:
    by_id = {id(each): each for each in remembering}
    for (number, name), value in fields.items():
        if isinstance(value, COPIED):
            continue  # passing over fills and empties nothing
        setattr(by_id[number], name, value)
    world.random.setstate(drawn[0])
    world.cluster.conditions._random.setstate(drawn[1])  # type: ignore[attr-defined]  # of random conditions


def _drawn(world: World) -> tuple[Any, Any]:
    return world.random.getstate(), world.cluster.conditions._random.getstate()  # type: ignore[attr-defined]  # as above


def _happened(world: World) -> tuple[Any, ...]:
    cluster, groups = world.cluster, world.cluster.groups.groups.values()
    ends = [(log.start, log.end, log.last_stable) for log in cluster.logs()]
    members = [(each.generation, each.joining, len(each.members), each._appended) for each in groups]
    counted = (world.effects, len(world.trace.events), cluster._sent, len(cluster._under_way), cluster.faults.left)
    return ends, members, counted, cluster.clock.elapsed_ms, cluster.clock.now_ms(), cluster.quiet_until_ms


def _told(expected: tuple[Any, ...], found: tuple[Any, ...]) -> str:
    fields: list[str] = [
        f"{name} {value!r} is {found[0].get((number, name))!r}"
        for (number, name), value in expected[0].items()
        if found[0].get((number, name)) != value
    ]
    return "; ".join([*fields, *(["draws"] if expected[1] != found[1] else []), f"{expected[2:]} is {found[2:]}"])[:600]
