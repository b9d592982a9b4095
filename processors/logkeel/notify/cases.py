"""A question to people as the notifier keeps it: whom it was told to, what is still to be told, how it ended. Pure.

Each `Delivery` is one notification to one recipient by one channel, with an idempotency key that is the same however
often it is sent. Its life:

    due -> claimed -> delivered
     |        |----> due (again, later)
     |        `----> failed
     `-> dropped (there is nothing to tell any more)

`claimed` is durable before anything is sent. Who finds a claimed delivery after a crash cannot know whether it was
sent, and sends it again under the same key: at least once.
"""

import hashlib
from base64 import b32encode
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from logkeel.projection import AnswerView, WaitView

Kind: TypeAlias = Literal["asked", "reminder", "escalated", "delegated", "answered", "withdrawn"]
KINDS: tuple[Kind, ...] = ("asked", "reminder", "escalated", "delegated", "answered", "withdrawn")
ENDING: frozenset[Kind] = frozenset({"answered", "withdrawn"})

DeliveryState: TypeAlias = Literal["due", "claimed", "delivered", "dropped", "failed"]
OPEN_STATES: frozenset[DeliveryState] = frozenset({"due", "claimed"})


class Target(NamedTuple):
    """Whom to tell: a channel of the configuration and, where the channel has several, a recipient in it."""

    channel: str
    recipient: str = ""

    def __str__(self) -> str:
        return f"{self.channel}:{self.recipient}" if self.recipient else self.channel


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the value of a shown field stands: `offset` of the event in the run's partition of `run-events`.

    `revision` 0: never written. `offset` None: written before what the notifier has read.
    """

    field: str
    revision: int
    offset: int | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One notification. `revision`: of the event that it tells of. `next_ms`: when it is to be sent next.

    `receipt`: what the channel needs to change the message later. `error`: why the last attempt did not get through.
    """

    key: str
    kind: Kind
    channel: str
    recipient: str
    revision: int
    next_ms: int
    state: DeliveryState = "due"
    attempt: int = 0
    receipt: str = ""
    error: str = ""

    @property
    def target(self) -> Target:
        """Whom it is for."""
        return Target(self.channel, self.recipient)

    @property
    def is_open(self) -> bool:
        """Whether it may still be sent."""
        return self.state in OPEN_STATES


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question of one run. `answer`: how it was answered; `over_ms`: when it ended, also without an answer.

    `traceparent`: of who started the run, if they said so.
    """

    run_id: str
    incarnation: str
    workflow: str
    version: str
    definition_digest: str
    question: WaitView
    routing_key: str | None = None
    places: tuple[Place, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    answer: AnswerView | None = None
    over_ms: int | None = None
    traceparent: str | None = None

    @property
    def case_id(self) -> str:
        """Stands for this question for ever: another one at the same path has another number."""
        return case_id(self.run_id, self.incarnation, self.question.path, self.question.number)

    @property
    def is_open(self) -> bool:
        """Whether an answer is waited for."""
        return self.over_ms is None

    def delivery(self, key: str) -> Delivery | None:
        """The delivery under this key."""
        return next((each for each in self.deliveries if each.key == key), None)


class Delivered(msgspec.Struct, frozen=True):
    """It got through."""

    receipt: str = ""


class Retry(msgspec.Struct, frozen=True):
    """It did not, and may later. `after_ms`: no sooner than that, if the receiver says so."""

    reason: str
    after_ms: int | None = None


class Refused(msgspec.Struct, frozen=True):
    """It never will. `gone`: nothing will get through this channel any more (410)."""

    reason: str
    gone: bool = False


Outcome: TypeAlias = Delivered | Retry | Refused


Wants: TypeAlias = Callable[[Target, Kind], bool]
"""Whether a target is to hear of such a thing."""


def digest(*parts: str) -> str:
    """26 letters and digits; the length of each part counts, so that no two sequences meet."""
    hashed = hashlib.sha256(b"".join(b"%d:%s" % (len(part.encode()), part.encode()) for part in parts)).digest()
    return b32encode(hashed[:16]).decode().rstrip("=").lower()


def case_id(run_id: str, incarnation: str, path: str, number: int) -> str:
    """A short name derived from what a question is."""
    return digest("case", run_id, incarnation, path, str(number))


def announced(case: Case, kind: Kind, targets: Iterable[Target], *, revision: int, now_ms: int) -> Case:
    """The case with a notification of the event at `revision` for each of them; those that it has stay as they are."""
    known = {each.key for each in case.deliveries}
    made = (_delivery(case, kind, target, revision, now_ms) for target in dict.fromkeys(targets))
    return replace(case, deliveries=(*case.deliveries, *(each for each in made if each.key not in known)))


def ended(case: Case, answer: AnswerView | None, *, revision: int, now_ms: int, wants: Wants) -> Case:
    """The question is over: what was not sent is dropped, and who was told of it is told of its end."""
    if not case.is_open:
        return case
    dropped = tuple(replace(each, state="dropped") if each.state == "due" else each for each in case.deliveries)
    case = replace(case, deliveries=dropped, answer=answer, over_ms=now_ms)
    told = tuple(each.target for each in case.deliveries if each.state == "delivered")
    return _tell_end(case, told, revision=revision, now_ms=now_ms, wants=wants)


def may_go(case: Case, delivery: Delivery) -> bool:
    """Whether it is this one's turn: a recipient is told one thing after the other, in the order of the run."""
    if delivery.state != "due":
        return False
    before = (each for each in _until(case, delivery) if each.target == delivery.target)
    return not any(each.is_open for each in before)


def claim(case: Case, delivery: Delivery) -> Case:
    """About to be sent."""
    return _with(case, replace(delivery, state="claimed", attempt=delivery.attempt + 1))


def settled(
    case: Case, delivery: Delivery, outcome: Outcome, *, next_ms: int | None, now_ms: int, wants: Wants
) -> Case:
    """What became of a claimed delivery. `next_ms`: when a failed one is tried again, None for never."""
    match outcome:
        case Delivered(receipt):
            case = _with(case, replace(delivery, state="delivered", receipt=receipt, error=""))
            if not case.is_open and delivery.kind not in ENDING:
                # It ended while this was under way.
                last = max(each.revision for each in case.deliveries)
                case = _tell_end(case, (delivery.target,), revision=last + 1, now_ms=now_ms, wants=wants)
            return case
        case Retry(reason) if next_ms is not None:
            over = not case.is_open and delivery.kind not in ENDING
            state: DeliveryState = "dropped" if over else "due"
            return _with(case, replace(delivery, state=state, next_ms=next_ms, error=reason))
        case Retry(reason) | Refused(reason):
            return _with(case, replace(delivery, state="failed", error=reason))


def receipt_of(case: Case, target: Target) -> str:
    """What the channel said about the newest message that this target got."""
    told = (each.receipt for each in reversed(case.deliveries) if each.target == target and each.receipt)
    return next(told, "")


def _tell_end(case: Case, targets: Iterable[Target], *, revision: int, now_ms: int, wants: Wants) -> Case:
    """Those that want to know, but not who has answered it."""
    kind: Kind = "withdrawn" if case.answer is None else "answered"
    by = None if case.answer is None else case.answer.by
    told = (target for target in targets if wants(target, kind) and target.recipient != by)
    return announced(case, kind, told, revision=revision, now_ms=now_ms)


def _until(case: Case, delivery: Delivery) -> Iterator[Delivery]:
    for each in case.deliveries:
        if each.key == delivery.key:
            return
        yield each


def _with(case: Case, delivery: Delivery) -> Case:
    return replace(case, deliveries=tuple(delivery if each.key == delivery.key else each for each in case.deliveries))


def _delivery(case: Case, kind: Kind, target: Target, revision: int, now_ms: int) -> Delivery:
    key = "ntf_" + digest(case.case_id, kind, "" if kind in ENDING else str(revision), *target)
    return Delivery(
        key=key, kind=kind, channel=target.channel, recipient=target.recipient, revision=revision, next_ms=now_ms
    )
