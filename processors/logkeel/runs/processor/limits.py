"""The limits of a partition: questions and releases in, answers out, and a timer where a rate lets somebody wait.

Slots that are held for long are told again to those who hold them: a slot of a run that is no more comes back (0030).
"""

from logkeel.errors import InvalidInput
from logkeel.exactly_once import Turn
from logkeel.log import Record
from logkeel.records import AcquireLimit, ErrorInfo, LimitRequest
from logkeel.records.topics import TopicNames
from logkeel.runs.core.limit_line import Line, Served
from logkeel.runs.processor.limit_records import answer_output, home_of, refused_output
from logkeel.runs.processor.settings import RunSettings
from logkeel.runs.processor.timer_ids import LIMIT
from logkeel.runs.rows.limit_rows import LimitName, Limits
from logkeel.wire import decode_as, record_type

_REQUESTS = LimitRequest.__args__


class LimitKeeper:
    """Keeps the limits of one application; nothing in memory but how far its rounds are."""

    def __init__(self, names: TopicNames, settings: RunSettings, partitions: int) -> None:
        self._names = names
        self._settings = settings
        self._partitions = partitions
        self._rounds: dict[int, tuple[int, bytes]] = {}

    def handle(self, record: Record, turn: Turn) -> None:
        """One question or release. Raises `DataError` for one that cannot be read, or is not at home here."""
        asked: LimitRequest = decode_as(record.value or b"", *_REQUESTS)
        limit = LimitName.of(asked)
        if home_of(limit, self._partitions) != turn.partition:
            raise InvalidInput(f"the limit {limit.name!r} is not on partition {turn.partition}")
        line = Limits(turn).line(limit)
        before_ms = line.head.due_ms
        if isinstance(asked, AcquireLimit):
            served = line.acquire(asked, turn.now_ms)
        else:
            served = line.release(asked, turn.now_ms)
        self._done(limit, line, served, before_ms, turn)

    def on_timer(self, tail: bytes, turn: Turn) -> None:
        """The head of a line may be served by now, or a limit be forgotten."""
        limit, _ = LimitName.unpack(tail)
        line = Limits(turn).line(limit)
        self._done(limit, line, line.on_timer(turn.now_ms), None, turn)

    def refuse(self, record: Record, code: str, message: str, turn: Turn) -> None:
        """A question that raised: whoever waits hears of it."""
        if record.value is not None and record_type(record.value) is AcquireLimit:
            asked = decode_as(record.value, AcquireLimit)
            error = ErrorInfo(code=code, kind="fatal", message=f"limit {asked.name!r}: {message}"[:2_000])
            turn.emit(refused_output(asked, error, self._names))

    def remind(self, turn: Turn) -> bool:
        """Tell the next ones who hold for long that they do; whether more are left of this round."""
        began_ms, after = self._rounds.get(turn.partition, (0, b""))
        every_ms, limit = self._settings.remind_holders_ms, self._settings.sweep_rows
        if not after and turn.now_ms - began_ms < every_ms:
            return False
        held, rest = Limits(turn).held(after, limit)
        for each in held:
            if turn.now_ms - each.asker.since_ms >= every_ms:
                turn.emit(answer_output(each.limit, each.name, each.asker, self._names))
        self._rounds[turn.partition] = (began_ms if after else turn.now_ms, rest)
        return bool(rest)

    def _done(self, limit: LimitName, line: Line, served: list[Served], before_ms: int | None, turn: Turn) -> None:
        for name, asker, error in served:
            turn.emit(answer_output(limit, name, asker, self._names, error=error))
        due_ms, timer = line.head.due_ms, LIMIT + limit.pack()
        if before_ms is not None and before_ms != due_ms:
            turn.clear_timer(before_ms, timer)
        if due_ms is not None and before_ms != due_ms:
            turn.set_timer(due_ms, timer)
        Limits(turn).save(limit, line)
