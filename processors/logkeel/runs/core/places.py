"""The blocks of a compiled definition, each at its place. Values only.

A path joins the ids of the enclosing blocks and of the step with "/"; sequences add no segment. A branch of a fork has
a scope of its own, `<fork path>#<index>`, in which its writes live until the join; `scopes` lists them outermost first
and does not name the root scope "". A place in a loop is asked for by the path at which a run meets it, round included.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

from logkeel.definitions import ChildBlock, EachBlock, Handler, InlineBlock, SagaBlock, StepDefinition, WaitBlock
from logkeel.records import Control
from logkeel.runs.core.paths import is_placed, locate_scope, static
from logkeel.runs.core.targets import Target

ROOT_SCOPE = ""

INNER = "inner"
"""Stands where a branch has its index in the name of a scope."""

ELEMENT = "element"
"""The same for an element of an each block."""

KEPT_PLACES = 10_000
"""Places in rounds of loops that a plan remembers, for all runs together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Any block at its place. `guards`: the rescue blocks whose bodies it is in, innermost first.

    `root`: the scope where its view of the state ends; that of an inner workflow if it is in one.
    """

    path: str
    scopes: tuple[str, ...]
    after: Target
    guards: tuple[str, ...] = ()
    root: str = ROOT_SCOPE

    @property
    def scope(self) -> str:
        """Where its writes go."""
        return self.scopes[-1] if self.scopes else self.root

    @property
    def reading(self) -> tuple[str, ...]:
        """The scopes that it sees, the nearest first."""
        return (*reversed(self.scopes), self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedStep(Placed):
    """A step at its place in the flow. `undoes`: it undoes another one, in a saga."""

    definition: StepDefinition
    undoes: bool = False


@dataclass(frozen=True, slots=True)
class PlacedBranch:
    """A branch of a fork: where it begins, and the fields that may be written inside, in the order of the state."""

    scope: str
    first: Target
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFork(Placed):
    """A parallel block at its place. `needs`: how many branches have to end."""

    branches: tuple[PlacedBranch, ...]
    needs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedChoice(Placed):
    """A branch block: the first target whose value the field has, else `after` or what `otherwise` says."""

    field: str
    cases: tuple[tuple[Control, Target], ...]
    otherwise: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedLoop(Placed):
    """A loop. `first`: where a round begins."""

    first: Target
    max_rounds: int
    fails: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedLeave(Placed):
    """Leaves `loop` if the field has the value; else `after`."""

    loop: str
    field: str
    value: Control


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedLimit(Placed):
    """A block with a time limit. `late`: what follows when it is over; None: a failure."""

    first: Target
    timeout_ms: int
    late: Target | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRescue(Placed):
    """A rescue block: where each handler begins."""

    handlers: tuple[tuple[Handler, Target], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSaga(Placed):
    """A saga. `first`: where its body begins."""

    block: SagaBlock
    first: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedWait(Placed):
    """A sleep, a wait for a signal, a question."""

    block: WaitBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedInline(Placed):
    """An inner workflow. `inner`: the scope of its state."""

    block: InlineBlock
    first: Target
    inner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEach(Placed):
    """An each block. `first`: where an element begins. `fields`: what its body may write, in the order of the state.

    `combining`: those of them whose numbers are combined with what is outside when an element ends.
    """

    block: EachBlock
    first: Target
    fields: tuple[str, ...]
    combining: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedChild(Placed):
    """A child run. `width`: how many of it may be open at once, which what may be below them is divided by."""

    block: ChildBlock
    width: int


P = TypeVar("P", bound=Placed)


class Places(dict[str, P]):
    """Blocks of one kind by path. A path with rounds in it gives the block with its scopes in these rounds."""

    def __missing__(self, path: str) -> P:
        if not is_placed(path):
            raise KeyError(path)
        place = _in_rounds(self[static(path)], path)
        if len(self) >= KEPT_PLACES:
            for known in [known for known in list(self) if is_placed(known)]:
                self.pop(known, None)
        self[path] = place
        return place


def _in_rounds(place: P, path: str) -> P:
    scopes = tuple(locate_scope(scope, path) for scope in place.scopes)
    root = locate_scope(place.root, path) if place.root else place.root
    place = replace(place, path=path, scopes=scopes, root=root)
    if isinstance(place, PlacedFork):
        branches = tuple(replace(each, scope=f"{path}#{index}") for index, each in enumerate(place.branches))
        return replace(place, branches=branches)
    if isinstance(place, PlacedInline):
        return replace(place, inner=inner_scope(path))
    return place


def element_scope(path: str) -> str:
    """The scope of an element; of the each block's own path, as the definition has it."""
    return f"{path}#{ELEMENT}"


def is_root(scope: str) -> bool:
    """Whether a view of the state ends at this scope."""
    return scope == ROOT_SCOPE or scope.endswith(f"#{INNER}")


def inner_scope(path: str) -> str:
    """The scope of an inner workflow's state."""
    return f"{path}#{INNER}"
