"""Lists that this worker keeps, so that a command needs to carry only what is new. On the loop; a cache, never state.

A list is known by run, incarnation, field and generation, and within a generation it is changed by appending alone. So
what is kept is right or missing, never stale, and stays right when a partition goes and comes back.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from msgspec.structs import replace

from logkeel.records import ElementValue, FieldReference, FieldValue, StepCommand
from logkeel.records.limits import element_bytes


class Keeping(NamedTuple):
    """What a worker keeps: lists of at least `from_bytes`, all together at most `limit_bytes`.

    A smaller one is carried anew each time, which costs less than the engine's row about it.
    """

    limit_bytes: int = 64 * 1024 * 1024
    from_bytes: int = 4_096


KEEPING: Final = Keeping()

_Name = tuple[str, str, str, int]


class NeedsState(Exception):
    """A command builds on lists that are not here. `fields`: their names."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(f"not kept: {', '.join(fields)}")
        self.fields = fields


class KeptLists:
    """Those that were not read for longest go first."""

    def __init__(self, keeping: Keeping = KEEPING) -> None:
        self._keeping = keeping
        self._lists: OrderedDict[_Name, _Kept] = OrderedDict()
        self._size_bytes = 0

    def whole(self, command: StepCommand) -> tuple[FieldValue, ...]:
        """What the step reads, with what is kept of it; keeps what is worth it. Raises `NeedsState`."""
        inputs = command.inputs
        if all(value.generation is None for value in inputs):
            return inputs
        lacking = tuple(value.field for value in inputs if value.base_count > len(self._elements(command, value)))
        if lacking:
            raise NeedsState(lacking)
        return tuple(value if value.generation is None else self._whole(command, value) for value in inputs)

    def references(self, command: StepCommand) -> tuple[FieldReference, ...]:
        """What the step has read, by reference, and what of it is kept."""
        return tuple(self._reference(command, value) for value in command.inputs)

    def _whole(self, command: StepCommand, value: FieldValue) -> FieldValue:
        kept = self._elements(command, value)
        if len(kept) > value.base_count + len(value.elements):  # an older command once more
            return replace(value, elements=(*kept[: value.base_count], *value.elements), base_count=0, base_bytes=0)
        new = value.elements[len(kept) - value.base_count :]
        elements = [*kept, *new] if new or not kept else kept
        self._keep(_name(command, value), elements, new)
        return replace(value, elements=tuple(elements), base_count=0, base_bytes=0)

    def _keep(self, name: _Name, elements: list[ElementValue], new: tuple[ElementValue, ...]) -> None:
        known = self._lists.pop(name, None)
        size_bytes = (0 if known is None else known.size_bytes) + sum(map(element_bytes, new))
        self._size_bytes -= 0 if known is None else known.size_bytes
        if not self._keeping.from_bytes <= size_bytes <= self._keeping.limit_bytes:
            return
        self._lists[name] = _Kept(elements, size_bytes)
        self._size_bytes += size_bytes
        while self._size_bytes > self._keeping.limit_bytes:
            _, oldest = self._lists.popitem(last=False)
            self._size_bytes -= oldest.size_bytes

    def _reference(self, command: StepCommand, value: FieldValue) -> FieldReference:
        kept_count = 0 if value.generation is None else len(self._elements(command, value))
        carried = value.base_count + len(value.elements)
        if not kept_count:
            return FieldReference(field=value.field, revision=value.revision)
        return FieldReference(
            field=value.field,
            revision=value.revision,
            generation=value.generation,
            kept_count=min(kept_count, carried),
        )

    def _elements(self, command: StepCommand, value: FieldValue) -> list[ElementValue]:
        kept = None if value.generation is None else self._lists.get(_name(command, value))
        return [] if kept is None else kept.elements


class _Kept:
    __slots__ = ("elements", "size_bytes")

    def __init__(self, elements: list[ElementValue], size_bytes: int) -> None:
        self.elements = elements
        self.size_bytes = size_bytes


def _name(command: StepCommand, value: FieldValue) -> _Name:
    identity = command.identity
    return identity.run_id, identity.incarnation, value.field, value.generation or 0
