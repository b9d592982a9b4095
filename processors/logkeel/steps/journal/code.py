"""What a StepContext offers durable code: calls, branches, waits, and chance that repeats itself. On the loop."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import UUID

from msgspec.structs import replace

from logkeel.definitions import Verb
from logkeel.errors import StepSignatureError
from logkeel.records import FieldWrite
from logkeel.steps.bound import BoundStep
from logkeel.steps.journal.book import drawn
from logkeel.steps.journal.calls import Caller
from logkeel.steps.journal.child_runs import child_result, require_declared
from logkeel.steps.journal.results import RESULT_FIELD, adapter_of, read, written
from logkeel.steps.journal.session import Journal
from logkeel.steps.journal.slots import NOTHING, Needs
from logkeel.steps.journal.updating import begun_anew, updated
from logkeel.steps.journal.waiting import Wait, waited
from logkeel.workflow.current import CURRENT
from logkeel.workflow.durable_code import DEFAULT_CALL_TIMEOUT, Answered, Asking, CallOptions, ChildOptions
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.effects import IDEMPOTENT, EffectDeclaration
from logkeel.workflow.limits import Limit
from logkeel.workflow.retry import Retry

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow

T = TypeVar("T")

_EPOCH = datetime.fromtimestamp(0, tz=UTC)


class Calls:
    """Implements `DurableCalls`."""

    def __init__(self, caller: Caller, options: CallOptions, needs: Needs = NOTHING) -> None:
        self._caller = caller
        self._options = options
        self._needs = needs

    async def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `DurableCalls.run`."""
        return await self._caller.run(name, function, args, kwargs, options=self._options, needs=self._needs)


class Code:
    """Implements `DurableCode`; a step without a journal refuses all of it. `durable` None: it has none.

    `bound`: the step, which says what its code may start and write.
    """

    durable: "tuple[Journal, Caller] | None" = None
    bound: BoundStep | None = None

    def _made_durable(self) -> tuple[Journal, Caller]:
        if self.durable is None:
            raise StepSignatureError(
                "this step has no journal: declare it with journal=True, as in @workflow.step(..., journal=True), or"
                " write a @durable function. Inside of a journaled call there is none either"
            )
        return self.durable

    def is_replayed(self) -> bool:
        """Whether an earlier execution has come by here and gone on: durable code before its last known call."""
        return self.durable is not None and CURRENT.get() is None and self.durable[0].is_replaying()

    async def run(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `DurableCalls.run`."""
        _, caller = self._made_durable()
        return await caller.run(name, function, args, kwargs, options=CallOptions())

    def options(
        self,
        *,
        effect: EffectDeclaration = IDEMPOTENT,
        timeout: Duration | None = DEFAULT_CALL_TIMEOUT,
        retry: Retry | None = None,
        check: Callable[..., Any] | None = None,
        limits: Sequence[Limit] = (),
        uses: Mapping[str, int] | None = None,
    ) -> Calls:
        """See `DurableCode.options`."""
        _, caller = self._made_durable()
        options = CallOptions(effect, timeout, retry, check, limits, uses or {})
        if self.bound is None or not (limits or uses):
            return Calls(caller, options)
        needs = Needs(self.bound.frame.limits(limits), self.bound.frame.uses(options.uses))
        return Calls(caller, options, needs)

    async def gather(self, *coroutines: Coroutine[Any, Any, T], concurrency: int | None = None) -> list[T]:
        """See `DurableCode.gather`."""
        journal, _ = self._made_durable()
        return await journal.gather(coroutines, concurrency)

    def now(self) -> datetime:
        """See `DurableCode.now`."""
        journal, _ = self._made_durable()
        return _EPOCH + timedelta(milliseconds=journal.lane().seen_ms)

    def random(self) -> float:
        """See `DurableCode.random`."""
        return int.from_bytes(self._drawn()[:7]) / (1 << 56)

    def uuid(self) -> UUID:
        """See `DurableCode.uuid`."""
        return UUID(bytes=self._drawn(), version=4)

    def _drawn(self) -> bytes:
        journal, _ = self._made_durable()
        return drawn(journal.command.idempotency_key, journal.lane().next_draw())

    async def sleep(self, duration: Duration) -> None:
        """See `DurableCode.sleep`."""
        journal, _ = self._made_durable()
        duration_ms = to_milliseconds(duration)
        await waited(journal, Wait("sleep", f"sleep {duration}", duration_ms))

    async def wait_signal(
        self,
        name: str,
        as_type: Any = Any,
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - durable: the engine keeps it, not the caller's loop
    ) -> Any:
        """See `DurableCode.wait_signal`."""
        journal, _ = self._made_durable()
        timeout_ms = None if timeout is None else to_milliseconds(timeout)
        adapter = adapter_of(as_type)
        entry = await waited(journal, Wait("signal", name, timeout_ms))
        return read(adapter, await journal.opened(entry.writes), f"signal {name!r}")

    async def update(self, **fields: Any) -> None:
        """See `DurableCode.update`."""
        journal, _ = self._made_durable()
        writes = () if self.bound is None else self.bound.encode_update(fields)
        await updated(journal, f"update {', '.join(sorted(fields))}", writes)

    async def restart_with(self, **state: Any) -> NoReturn:
        """See `DurableCode.restart_with`."""
        journal, _ = self._made_durable()
        await begun_anew(journal, () if self.bound is None else self.bound.encode_restart(state))

    async def child(
        self,
        workflow: "Workflow[Any]",
        inputs: Mapping[str, Any],
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - as above
        options: ChildOptions | None = None,
    ) -> Any:
        """See `DurableCode.child`."""
        journal, _ = self._made_durable()
        require_declared(workflow, {} if self.bound is None else self.bound.children)
        timeout_ms = None if timeout is None else to_milliseconds(timeout)
        return await child_result(journal, workflow, inputs, timeout_ms=timeout_ms, options=options or ChildOptions())

    async def ask(
        self,
        question: str,
        as_type: Any,
        *,
        show: Any = None,
        timeout: Duration | None,  # noqa: ASYNC109 - as above
        allow: tuple[Verb, ...] = ("approve", "reject"),
        to: Asking | None = None,
    ) -> Answered[Any]:
        """See `DurableCode.ask`."""
        journal, _ = self._made_durable()
        adapter = adapter_of(as_type)
        texts = {"allow": ",".join(allow), "assignee": to and to.assignee, "notify": to and to.notify}
        writes = [FieldWrite(field=name, is_control=True, control=text) for name, text in texts.items() if text]
        if show is not None:
            shown = replace(written(adapter_of(Any), show, f"what {question!r} shows"), field="show")
            writes += await journal.values.seal((shown,), f"what {question!r} shows")
        timeout_ms = None if timeout is None else to_milliseconds(timeout)
        told = await waited(journal, Wait("question", question, timeout_ms, tuple(writes)))
        answer = {write.field: write for write in told.writes}
        result = await journal.opened(tuple(write for write in told.writes if write.field == RESULT_FIELD))
        return Answered(
            verb=answer["verb"].control,  # type: ignore[arg-type]  # the engine takes none but those allowed
            value=read(adapter, result, f"the answer to {question!r}") if result else None,
            message=_text(answer.get("message")),
            answered_by=_text(answer.get("by")) or None,
        )


def _text(write: FieldWrite | None) -> str:
    return "" if write is None or write.control is None else str(write.control)
