"""A ledger of transfers as a `Processor`: small, and every fault of the loop shows as money out of place.

Inputs: `deposits` and `transfers`, keyed to the partition on which their accounts live. Each accepted record is applied
to account rows, noted under its id, and answered by a receipt with the balances after it. A record that asks to be
settled gets a second receipt from a timer. Only this module knows the layout; `verify` is its judge.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from logkeel.exactly_once import SideEvent, Timer, Turn
from logkeel.log import OutputRecord, Record, TopicPlan

ACCOUNT = b"\x10account/"
APPLIED = b"\x11applied/"
COUNT = b"\x12count"


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One input record. A deposit has no `source`."""

    id: str
    target: str
    amount: int
    source: str | None = None
    settle_after_ms: int | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One output record: balances after the posting; `settled` marks the one a timer wrote."""

    id: str
    number: int
    source: str | None
    source_balance: int
    target: str
    target_balance: int
    amount: int
    settled: bool = False


@dataclass(frozen=True, slots=True)
class LedgerTopics:
    """Topics of one ledger under a prefix, so that tests do not meet."""

    prefix: str

    @property
    def deposits(self) -> str:
        return f"{self.prefix}.deposits"

    @property
    def transfers(self) -> str:
        return f"{self.prefix}.transfers"

    @property
    def receipts(self) -> str:
        return f"{self.prefix}.receipts"

    @property
    def changelog(self) -> str:
        return f"{self.prefix}.accounts"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    def plans(self, partitions: int) -> list[TopicPlan]:
        """What has to exist."""
        stamped = {"message.timestamp.type": "LogAppendTime"}
        return [
            TopicPlan(self.deposits, partitions, config=stamped),
            TopicPlan(self.transfers, partitions, config=stamped),
            TopicPlan(self.receipts, partitions),
            TopicPlan(self.changelog, partitions, config={"cleanup.policy": "compact"}),
            TopicPlan(self.dead_letters, 1),
        ]


class Ledger:
    """Implements the port `Processor`."""

    table = "accounts"

    def __init__(self, topics: LedgerTopics) -> None:
        self.topics = topics
        self.inputs: Sequence[str] = (topics.deposits, topics.transfers)
        self.changelog = topics.changelog
        self.dead_letters = topics.dead_letters

    def process(self, record: Record, turn: Turn) -> None:
        """Apply one posting. Raises for anything that is not one, and for one that was applied before."""
        posting = msgspec.json.decode(record.value or b"", type=Posting)
        applied = APPLIED + posting.id.encode()
        if turn.get(applied) is not None:
            raise AssertionError(f"{posting.id} was applied before")
        turn.put(applied, b"%d" % record.offset)
        source_balance = 0
        if posting.source is not None:
            source_balance = _add(turn, posting.source, -posting.amount)
        target_balance = _add(turn, posting.target, posting.amount)
        receipt = Receipt(
            id=posting.id,
            number=_next_number(turn),
            source=posting.source,
            source_balance=source_balance,
            target=posting.target,
            target_balance=target_balance,
            amount=posting.amount,
        )
        self._emit(receipt, turn)
        if posting.settle_after_ms is not None:
            due_ms = turn.now_ms + posting.settle_after_ms
            turn.set_timer(due_ms, posting.id.encode(), msgspec.json.encode(receipt))

    def on_timer(self, timer: Timer, turn: Turn) -> None:
        """Write the settlement receipt."""
        receipt = msgspec.json.decode(timer.payload, type=Receipt)
        self._emit(msgspec.structs.replace(receipt, settled=True, number=_next_number(turn)), turn)

    def on_side_event(self, event: SideEvent, turn: Turn) -> None:
        """Nothing is learned outside of the inputs."""

    def on_poison(self, culprit: Record | Timer, error: Exception, turn: Turn) -> None:
        """The dead letter is visible enough."""

    def on_partition_ready(self, turn: Turn) -> None:
        """There are no wake-ups."""

    def _emit(self, receipt: Receipt, turn: Turn) -> None:
        turn.emit(OutputRecord(self.topics.receipts, receipt.id.encode(), msgspec.json.encode(receipt), turn.partition))


def account_of(key: bytes) -> str:
    """The account named by a row key."""
    return key.removeprefix(ACCOUNT).decode()


def _add(turn: Turn, account: str, amount: int) -> int:
    key = ACCOUNT + account.encode()
    balance = int(turn.get(key) or b"0") + amount
    turn.put(key, b"%d" % balance)
    return balance


def _next_number(turn: Turn) -> int:
    number = int(turn.get(COUNT) or b"0") + 1
    turn.put(COUNT, b"%d" % number)
    return number
