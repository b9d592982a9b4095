"""Dead letters read, and sent back to where they came from, each of them once.

A letter carries the original key, value and headers; behind these stand headers of ours, in this order:

| headers of a record's letter | headers of a timer's letter |
|---|---|
| `dead.topic`, `dead.partition`, `dead.offset` | `dead.table`, `dead.partition`, `dead.due_ms` |
| `dead.error`, `dead.message` | `dead.error`, `dead.message` |

Redriving a letter is one transaction: the original record to its topic and partition, and a *marker* beside the letter,
a record without value whose header `redriven` names the letter's offset. All redrivers of a topic share one
transactional id: initialising it fences an older one and ends what it left open, and only then are letters and markers
read. So a letter is redriven once, however many redrivers run, repeat, die or wake up.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from logkeel.errors import LogTimeout
from logkeel.log import Clock, Header, LogClient, OutputRecord, Record, places_of

APPENDED = 5
"""How many headers a letter has behind those of the original."""

OMITTED = "dead.omitted"
"""First header of a letter whose value did not fit: it cannot be sent back, the original is where it was."""

REDRIVEN = "redriven"
FROM = "redriven.from"
CALL_S = 30.0
READ_S = 60.0


class Letter(NamedTuple):
    """One dead letter. `topic` None: a timer of the table, which cannot be sent anywhere."""

    partition: int
    offset: int
    at_ms: int
    topic: str | None
    origin_partition: int
    origin_offset: int
    error: str
    message: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    redriven_at_ms: int | None = None

    @property
    def sendable(self) -> bool:
        """Whether there is something to send back, and a place to send it to."""
        return self.topic is not None and all(name != OMITTED for name, _ in self.headers)

    @property
    def name(self) -> str:
        """What a person calls it: `partition:offset` on the dead-letter topic."""
        return f"{self.partition}:{self.offset}"


def letter_of(record: Record) -> Letter | None:
    """The letter that a record is; None for a marker, or for what is neither."""
    own = dict(record.headers[-APPENDED:])
    if len(own) < APPENDED or not all(name.startswith("dead.") for name in own):
        return None
    texts = {name: value.decode(errors="replace") for name, value in own.items()}
    return Letter(
        record.partition,
        record.offset,
        record.timestamp_ms,
        texts.get("dead.topic"),
        int(texts["dead.partition"]),
        int(texts.get("dead.offset", -1)),
        texts["dead.error"],
        texts["dead.message"],
        record.key,
        record.value,
        record.headers[:-APPENDED],
    )


def marked_by(record: Record) -> int | None:
    """The offset of the letter that a marker says was redriven; None for other records."""
    if len(record.headers) == 1 and record.headers[0][0] == REDRIVEN and record.headers[0][1].isdigit():
        return int(record.headers[0][1])
    return None


def fold_letters(records: Sequence[Record]) -> list[Letter]:
    """All letters with what became of them, in the order of the log."""
    letters = {(each.partition, each.offset): each for record in records if (each := letter_of(record)) is not None}
    for record in records:
        offset = marked_by(record)
        letter = None if offset is None else letters.get((record.partition, offset))
        if letter is not None and letter.redriven_at_ms is None:
            letters[letter.partition, letter.offset] = letter._replace(redriven_at_ms=record.timestamp_ms)
    return list(letters.values())


def read_letters(client: LogClient, clock: Clock, topic: str) -> list[Letter]:
    """Every letter on the topic now. Raises `TopicMissing`, `LogUnavailable`."""
    admin = client.admin()
    try:
        places = places_of(admin, topic)
        starts = admin.start_offsets(places)
        # Read uncommitted: what another redriver is committing now must be seen, too.
        ends = admin.end_offsets(places, committed_only=False)
    finally:
        admin.close()
    waiting = {place for place in places if starts[place] < ends[place]}
    records: list[Record] = []
    reader = client.reader("read_committed")
    try:
        if waiting:
            reader.assign({place: starts[place] for place in waiting})
        deadline_s = clock.monotonic_s() + READ_S
        while waiting:
            fetched = reader.fetch(1_000, 0.1)
            records += fetched.records
            waiting -= {place for place, end in fetched.ends.items() if end >= ends[place]}
            if clock.monotonic_s() > deadline_s:
                raise LogTimeout(f"{topic} cannot be read to its end: a transaction is open; try again")
    finally:
        reader.close()
    return fold_letters(records)


class Redriver:
    """Sends letters back. A context; entering it fences every other redriver of this topic."""

    def __init__(self, client: LogClient, clock: Clock, topic: str) -> None:
        self._client, self._clock, self._topic = client, clock, topic
        self._producer = client.transactional_producer(f"{topic}.redrive")

    def __enter__(self) -> Self:
        self._producer.init_transactions(CALL_S)
        return self

    def __exit__(self, *exception: object) -> None:
        self._producer.close()

    def letters(self) -> list[Letter]:
        """Read after the fence, so that no marker of another redriver can follow."""
        return read_letters(self._client, self._clock, self._topic)

    def redrive(self, letters: Sequence[Letter], *, on_done: Callable[[Letter], object] = lambda letter: None) -> int:
        """Send these back, one transaction each; those that were redriven already, or cannot be, are passed over.

        Raises `ProducerFenced` if another redriver took over, `CommitInDoubt` and others: repeating it is harmless.
        """
        done = 0
        for letter in letters:
            if letter.topic is None or not letter.sendable or letter.redriven_at_ms is not None:
                continue
            self._send(letter, letter.topic)
            on_done(letter)
            done += 1
        return done

    def _send(self, letter: Letter, topic: str) -> None:
        headers = (*letter.headers, (FROM, f"{self._topic}/{letter.name}".encode()))
        marker = OutputRecord(
            self._topic, letter.key, None, letter.partition, ((REDRIVEN, str(letter.offset).encode()),)
        )
        self._producer.begin()
        self._producer.produce(OutputRecord(topic, letter.key, letter.value, letter.origin_partition, headers))
        self._producer.produce(marker)
        self._producer.flush(CALL_S)
        self._producer.commit(CALL_S)
