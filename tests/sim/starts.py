"""The judge of starts: what is on record is not begun again, what was begun is not called unstarted, checks come late.

Places are (run, incarnation, path, dispatch).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.sim.deadlines import SETTLING
from tests.sim.outside import JOURNAL, TIMEOUT_MS, Line
from tests.sim.workload import SETTLE_MS

from logkeel.log import Record
from logkeel.records import StepAnswer, StepFailed, StepReleased, StepSucceeded
from logkeel.testing.world import World

Answers = Sequence[tuple[Record, StepAnswer]]
Place = tuple[str, str, str, int]

HEARD_MS = 100
"""What came to the log so shortly before a start may not have been there when it was decided."""

CLAIMED = ("ONCE", "CHECKED", JOURNAL)


def faults_of_starts(world: World, lines: Sequence[Line], answers: Answers) -> list[str]:
    """Everything that is wrong with the beginnings of steps."""
    zero_ms = world.cluster.clock.now_ms() - world.elapsed_ms
    found = [*_started_in_spite(lines, answers, zero_ms), *_early_checks(world, lines, answers, zero_ms)]
    found += _begun_twice(lines)
    if not any(worker.stalls or worker.cuts or worker.expulsions for worker in world.workers):
        # A process that stands still and wakes, or hears late that it is out, may have read beyond what its successor
        # gives back (decision 0010).
        found += _begun_again(lines, answers, zero_ms)
    return found


def _begun_again(lines: Iterable[Line], answers: Answers, zero_ms: float) -> Iterator[str]:
    """No command runs whose result is on record: who takes over gives back what may have been started (P31)."""
    recorded: dict[Place, int] = {}
    for record, each in answers:
        if isinstance(each, StepSucceeded):
            # The first word counts: who runs it again says the same a second time.
            recorded.setdefault(_place(each), record.timestamp_ms)
    for line in _begins(lines):
        at_ms = recorded.get(_place_of(line))
        if at_ms is not None and at_ms + HEARD_MS < zero_ms + line.at_ms:
            yield f"P31: {line.process} began {line.run_id} {line.path}#{line.dispatch}, whose result was on record"


def _begun_twice(lines: Iterable[Line]) -> Iterator[str]:
    """A process runs a command once, however often it hears of it."""
    seen: set[tuple[str, int, str, Place]] = set()
    for line in _begins(lines):
        execution = (line.process, line.life, line.effect, _place_of(line))
        if execution in seen:
            yield f"P31: {line.process} began {line.run_id} {line.path}#{line.dispatch} twice in one life"
        seen.add(execution)


def _started_in_spite(lines: Iterable[Line], answers: Answers, zero_ms: float) -> Iterator[str]:
    """What needs a claim is called unstarted only if nobody has begun it (P31)."""
    begun: dict[Place, float] = {}
    for line in _begins(lines):
        if line.effect in CLAIMED:
            begun.setdefault(_place_of(line), zero_ms + line.at_ms)
    for record, each in answers:
        if isinstance(each, StepReleased) and not each.was_started:
            began_ms = begun.get(_place(each))
            if began_ms is not None and began_ms < record.timestamp_ms:
                place = f"{each.identity.run_id} {each.identity.path}#{each.identity.dispatch}"
                yield f"P31: {each.holder} gave {place} back as not started, and it had begun"


def _early_checks(world: World, lines: Sequence[Line], answers: Answers, zero_ms: float) -> Iterator[str]:
    """A check comes when an attempt that nobody ended can act no more: its time-out and the settle time later (P35).

    Asked of worlds where the clocks of engines are right, and no worker's is ahead: when to check is said as a time.
    """
    if any(engine.clock.offset_ms for engine in world.engines) or any(w.clock.offset_ms > 0 for w in world.workers):
        return
    ended: dict[Place, int] = {}
    for record, each in answers:
        if isinstance(each, StepSucceeded | StepFailed) or (isinstance(each, StepReleased) and each.was_started):
            ended.setdefault(_place(each), record.timestamp_ms)
    begun: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        step = (line.run_id, line.incarnation, line.path)
        if line.what == "begin" and line.effect == "CHECKED" and "!" not in line.path:
            begun[step].append(line)
        elif line.what == "check":
            for former in begun[step]:
                at_ms = ended.get(_place_of(former))
                is_open = at_ms is None or at_ms > zero_ms + line.at_ms
                waited_ms = line.at_ms - former.at_ms
                if former.dispatch < line.dispatch and is_open and waited_ms < TIMEOUT_MS + _settle_ms(line) - 1:
                    what = f"{line.run_id} {line.path}#{line.dispatch}"
                    yield f"P35: {what} was checked {waited_ms:.0f} ms after #{former.dispatch} had begun"


def _settle_ms(line: Line) -> int:
    return SETTLING.get(line.path.rpartition("/")[2], SETTLE_MS)


def _begins(lines: Iterable[Line]) -> Iterator[Line]:
    """Of steps; their journaled calls are others' to judge."""
    return (line for line in lines if line.what == "begin" and "!" not in line.path)


def _place(answer: StepAnswer) -> Place:
    identity = answer.identity
    return identity.run_id, identity.incarnation, identity.path, identity.dispatch


def _place_of(line: Line) -> Place:
    return line.run_id, line.incarnation, line.path, line.dispatch
