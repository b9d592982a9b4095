"""The journal of one execution as its code walks through it: which call stands where, and what is known of it. Pure.

Theory. Code inside a step makes calls one after the other in a *lane*; `gather` opens a lane for each branch. A call's
position is its number in its lane behind the lane's own: "4" is the fifth call of the step, "4.0.1" the second call of
the first branch of a `gather` that stands there. Positions do not depend on which branch is faster, so an execution
finds each entry of the ones before. Within a lane every call but a `gather` leaves an entry before the next begins; so
an entry of another name, or a new call where later ones are known, proves that the code went another way.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from logkeel.errors import JournalDiverged
from logkeel.records import JournalEntry, WaitKind

MAX_NAME_CHARACTERS = 200


class Place(NamedTuple):
    """Where a call stands."""

    name: str
    ordinal: int
    position: str


class Lane:
    """A sequence of calls. `prefix` is "" or ends with a dot; `seen_ms` is the time of the last outcome it has seen."""

    __slots__ = ("_draws", "_foreign", "_names", "calls", "prefix", "seen_ms")

    def __init__(self, prefix: str, seen_ms: int) -> None:
        self.prefix = prefix
        self.seen_ms = seen_ms
        self.calls = 0
        self._names: dict[str, int] = {}
        self._draws = 0
        self._foreign = 0

    def next_place(self, name: str) -> Place:
        """The next call, by this name."""
        position, ordinal = f"{self.prefix}{self.calls}", self._names.get(name, 0)
        self.calls += 1
        self._names[name] = ordinal + 1
        return Place(name, ordinal, position)

    def branch(self, position: str, number: int) -> "Lane":
        """The lane of a branch of the `gather` at `position`."""
        return Lane(f"{position}.{number}.", self.seen_ms)

    def foreign(self) -> "Lane":
        """The lane of a further asyncio task that the code has started by itself, in the order of their first calls."""
        self._foreign += 1
        return Lane(f"{self.prefix}t{self._foreign - 1}.", self.seen_ms)

    @property
    def can_be_suspended(self) -> bool:
        """Whether waiting here takes part in suspending the step: not in a task of the code's own."""
        return "t" not in self.prefix

    def next_draw(self) -> str:
        """Names the next thing that is drawn by chance."""
        self._draws += 1
        return f"{self.prefix}#{self._draws - 1}"


class Book:
    """Entries by position, and which of them the code has come by."""

    def __init__(self, entries: Iterable[JournalEntry]) -> None:
        self._entries = {entry.position: entry for entry in entries}
        self._slots = {entry.position: entry for entry in entries if entry.waits_for == "limit"}
        self._unseen = dict(self._entries)
        self._last: dict[str, int] = {}
        for position in (each.removesuffix(".s") for each in self._entries):
            parts = position.split(".")
            for depth, part in enumerate(parts):
                if part.isdecimal():
                    prefix = "".join(f"{each}." for each in parts[:depth])
                    self._last[prefix] = max(int(part), self._last.get(prefix, -1))

    def meet(self, lane: Lane, name: str, waits_for: WaitKind | None) -> tuple[Place, JournalEntry | None]:
        """The code makes its next call; what is known of it. Raises `JournalDiverged`."""
        place = lane.next_place(name)
        slot = self._unseen.pop(slot_of(place.position), None)
        if slot is not None and (slot.name != name or waits_for is not None):
            raise diverged(repr(slot.name), _called(name, waits_for), place.position)
        entry = self._unseen.pop(place.position, None)
        if entry is not None:
            if (entry.name, entry.waits_for) != (name, waits_for):
                raise diverged(_said(entry), _called(name, waits_for), place.position)
            return place, entry
        if self._last.get(lane.prefix, -1) >= lane.calls - (slot is None):
            expected = "a gather" if f"{place.position}." in self._branches() else "no call: a later one is known"
            raise diverged(expected, _called(name, waits_for), place.position)
        return place, None

    def slot_at(self, position: str) -> JournalEntry | None:
        """What is known of the latest try for which the call at this position has asked for slots."""
        return self._slots.get(slot_of(position))

    def meet_gather(self, lane: Lane, branches: int) -> str:
        """The code opens a `gather`; its position. Raises `JournalDiverged`."""
        position = lane.next_place("gather").position
        entry = self._entries.get(position)
        if entry is not None:
            raise diverged(_said(entry), "gather", position)
        known = self._last.get(f"{position}.", -1) + 1
        if known > branches:
            raise diverged(f"a gather of at least {known}", f"a gather of {branches}", position)
        return position

    @property
    def knows_more(self) -> bool:
        """Whether there are entries that the code has not come by."""
        return bool(self._unseen)

    def knows_later(self, lane: Lane) -> bool:
        """Whether there are entries of calls that this lane has yet to make, or that come behind its `gather`."""
        if self._last.get(lane.prefix, -1) >= lane.calls:
            return True
        parts = lane.prefix.split(".")[:-1]
        depth = 0
        while depth < len(parts):
            if not parts[depth].isdecimal():
                depth += 1  # a task of the code's own
                continue
            around = "".join(f"{part}." for part in parts[:depth])
            if self._last.get(around, -1) > int(parts[depth]):
                return True
            depth += 2  # the position of a gather, and the number of its branch
        return False

    def end(self) -> None:
        """The code has returned. Raises `JournalDiverged` if the journal holds calls that it has not made."""
        for position, entry in self._unseen.items():
            raise diverged(_said(entry), "the end of the step", position)

    def _branches(self) -> set[str]:
        return set(self._last)


def diverged(expected: str, found: str, position: str) -> JournalDiverged:
    """The code went another way than the journal."""
    return JournalDiverged(
        f"the journal has {expected} at position {position}, but the code made {found}: it was changed while this"
        " run was under way, or decides by something that is not journaled. Run the former version for runs that"
        " began with it (give the changed workflow a new version), and take times, chance and outside data from"
        " step.now(), step.random(), step.uuid() and step.run()",
        expected=expected,
        found=found,
        position=position,
    )


def slot_of(position: str) -> str:
    """Where in the journal the call at this position waits for slots of limits and for budgets."""
    return f"{position}.s"


def drawn(seed: str, name: str) -> bytes:
    """16 bytes by chance, the same for the same seed and name."""
    return blake2b(f"{seed}\x00{name}".encode(), digest_size=16).digest()


def key_of(step_key: str, place: Place) -> str:
    """The idempotency key of a call: from the step's, its name and its place (P34)."""
    name = f"{step_key}\x00{place.position}\x00{place.name}\x00{place.ordinal}"
    return f"lk-{blake2b(name.encode(), digest_size=16).hexdigest()}"


def _said(entry: JournalEntry) -> str:
    return _called(entry.name, entry.waits_for)


def _called(name: str, waits_for: WaitKind | None) -> str:
    return repr(name) if waits_for is None else f"a wait for {waits_for} {name!r}"
