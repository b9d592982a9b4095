"""Journaled calls: made once, by their own effect, time-out and retry, then replayed (P34, P35). On the loop.

What an effect needs of the journal before the call:

| effect | before | met again without an outcome |
|---|---|---|
| NONE, IDEMPOTENT, KEYED | nothing | called again, with the same key |
| KEYED(valid_for=...) | an intent with the time the key is forgotten | called again until then, later as ONCE |
| CHECKED | an intent with the time from which a check may tell | the check is asked first, then |
| ONCE | an intent | in doubt: a human decides |

`except Exception` stands here because this is a call boundary: whatever a function raises is an outcome.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

from logkeel.errors import CallFailed, PayloadTooLarge, StepSignatureError
from logkeel.records import ErrorInfo, JournalEntry
from logkeel.steps.answers import error_info
from logkeel.steps.journal.book import MAX_NAME_CHARACTERS, Place, key_of
from logkeel.steps.journal.results import KEY_PARAMETER, Callee, callee_of, read, written
from logkeel.steps.journal.retrying import Tries, policy_of
from logkeel.steps.journal.session import CallInDoubt, Journal
from logkeel.steps.journal.slots import NOTHING, Needs, require_suspendable, slots_for
from logkeel.steps.threads import DaemonThreads
from logkeel.workflow.context import StepContext
from logkeel.workflow.current import CURRENT
from logkeel.workflow.durable_code import CallOptions
from logkeel.workflow.steps import Happened

KEPT_MESSAGE_CHARACTERS = 2_000
"""Of a failure in a journal, which travels with every further command; the stack goes to the log."""


UNSEEN: AbstractContextManager[None] = nullcontext()


class CallSeen(NamedTuple):
    """A try of a call that is made now, not replayed. `number`: the how-manieth that is known of, from 1."""

    name: str
    position: str
    number: int
    effect: str


class ContextFor(Protocol):
    """Makes the StepContext of a call, by its idempotency key; `used` takes what it reports of budgets, if it may."""

    def __call__(self, key: str, used: dict[str, int] | None, /) -> StepContext: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the code makes it. `used`: what its try that is under way has reported of budgets."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    options: CallOptions
    callee: Callee
    place: Place
    key: str
    needs: Needs
    used: dict[str, int] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """For errors."""
        return f"the result of call {self.place.name!r}"

    def seen(self, number: int) -> CallSeen:
        """Its try of that number, for who looks on."""
        return CallSeen(self.place.name, self.place.position, number, self.options.effect.kind)

    @property
    def is_claimed(self) -> bool:
        """Whether its effect must not happen blindly twice: it is announced by an intent."""
        effect = self.options.effect
        return effect.kind in ("CHECKED", "ONCE") or effect.valid_for_ms is not None


class Caller:
    """Makes the calls of one execution. `threads` None: plain functions run on the loop. `watch` surrounds each try."""

    def __init__(
        self,
        journal: Journal,
        context_for: ContextFor,
        threads: DaemonThreads | None,
        watch: Callable[[CallSeen], AbstractContextManager[None]] = lambda _: UNSEEN,
    ) -> None:
        self._journal = journal
        self._context_for = context_for
        self._threads = threads
        self._watch = watch
        self._clock = journal.clock

    async def run(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: Mapping[str, Any],
        *,
        options: CallOptions,
        needs: Needs = NOTHING,
    ) -> Any:
        """See `DurableCalls.run`."""
        if not name or len(name) > MAX_NAME_CHARACTERS:
            raise StepSignatureError(f"a call is named by 1 to {MAX_NAME_CHARACTERS} characters, not {name[:40]!r}")
        callee = callee_of(function)
        lane = self._journal.lane()
        if needs:
            require_suspendable(lane, name)
        place, entry = await self._journal.meet(lane, name, None)
        key = key_of(self._journal.command.idempotency_key, place)
        call = Call(function, arguments, keywords, options, callee, place, key, needs)
        if entry is None or entry.state == "intent":
            entry = await self._outcome(call, entry)
        lane.seen_ms = max(lane.seen_ms, entry.at_ms)
        return await self._given(call, entry)

    async def _given(self, call: Call, entry: JournalEntry) -> Any:
        """What the code gets to see of an outcome, now and in every further execution."""
        error = entry.error
        if entry.state == "failed" and error is not None:
            raise CallFailed(
                f"call {call.place.name!r} failed: {error.message}",
                call=call.place.name,
                failure_code=error.code,
                kind=error.kind,
                position=entry.position,
            )
        return read(call.callee.adapter, await self._journal.opened(entry.writes), call.what)

    async def _outcome(self, call: Call, intent: JournalEntry | None) -> JournalEntry:
        """Make the call, or find out about it; the entry is durable."""
        self._journal.call_begins()
        try:
            made = await self._made(call, intent)
            if isinstance(made, JournalEntry):
                await self._journal.keep(made)
                return made
        finally:
            self._journal.call_ends()
        return await self._journal.halt(made)

    async def _made(self, call: Call, intent: JournalEntry | None) -> JournalEntry | CallInDoubt:
        slot = self._journal.book.slot_at(call.place.position)
        tries = self._tries(call, failures=0 if slot is None else slot.ordinal)
        if intent is None:
            self._journal.require_room()
        elif (known := await self._known(call, intent, has_ended=tries.failures > 0)) is not None:
            return known
        while True:
            if call.needs and (refusal := await self._slots_for(call, tries)) is not None:
                return self._entry(call, "failed", error=refusal)
            if call.is_claimed:
                intent = await self._announced(call, intent)
                await self._journal.require_lease()
            try:
                with self._watch(call.seen(tries.failures + 1)):
                    value = await self._invoke(call, call.function, call.callee)
                return await self._done(call, value)
            except Exception as error:  # noqa: BLE001 - the call boundary
                info = self._failure(call, error)
            if call.options.effect.kind == "ONCE" and info.kind != "not_done":
                return CallInDoubt(call.place.position, info)
            delay_ms = tries.failed(info)
            if call.options.check is not None and info.kind != "not_done":
                await self._until(self._clock.now_ms() + call.options.effect.settle_ms)
                if (happened := await self._looked(call)) is not None:
                    return happened
            if delay_ms is None:
                return self._entry(call, "failed", error=info)
            await asyncio.sleep(delay_ms / 1_000)
            if intent is not None and self._is_forgotten(intent):
                return CallInDoubt(call.place.position, info)

    async def _slots_for(self, call: Call, tries: Tries) -> ErrorInfo | None:
        """Wait for what the next try needs; why it never may begin."""
        refusal = await slots_for(self._journal, call.place, call.needs, tries.failures, call.used)
        call.used.clear()
        return refusal

    async def _known(self, call: Call, intent: JournalEntry, *, has_ended: bool) -> JournalEntry | CallInDoubt | None:
        """What can be said of a call that was begun and has no outcome; None: it may be made again.

        `has_ended`: the try before has told that it has failed, by asking for the slots of the next one.
        """
        if has_ended:
            return self._unknown(call) if self._is_forgotten(intent) else None
        if call.options.check is not None:
            await self._until(intent.due_ms or 0)
            return await self._looked(call)
        if intent.effect == "KEYED" and not self._is_forgotten(intent):
            return None
        return self._unknown(call)

    def _unknown(self, call: Call) -> CallInDoubt:
        message = f"{call.place.name!r} was begun, and nothing is known of its outcome"
        return CallInDoubt(call.place.position, ErrorInfo(code="call_in_doubt", kind="in_doubt", message=message))

    def _is_forgotten(self, intent: JournalEntry) -> bool:
        """Whether the outside system may have forgotten the key; it then counts as ONCE (P35)."""
        return intent.effect == "KEYED" and intent.due_ms is not None and self._clock.now_ms() >= intent.due_ms

    async def _announced(self, call: Call, known: JournalEntry | None) -> JournalEntry:
        """The durable intent of the next try: a key is known from its first use on, a check waits for the last try."""
        if known is not None and known.effect == call.options.effect.kind != "CHECKED":
            return known
        intent = self._entry(call, "intent", due_ms=self._due_ms(call))
        await self._journal.keep(intent)
        return intent

    def _tries(self, call: Call, *, failures: int = 0) -> Tries:
        effect = call.options.effect.kind
        return Tries(policy_of(call.options.retry, effect), effect, call.key, self._clock.now_ms, failures=failures)

    def _due_ms(self, call: Call) -> int | None:
        effect, now_ms = call.options.effect, self._clock.now_ms()
        if effect.kind == "CHECKED":
            return now_ms + (call.options.timeout_ms or 0) + effect.settle_ms
        return None if effect.valid_for_ms is None else now_ms + effect.valid_for_ms

    async def _invoke(self, call: Call, function: Callable[..., Any], callee: Callee) -> Any:
        """Raises what it raises, and TimeoutError."""
        context = self._context_for(call.key, call.used if call.needs.uses else None)
        keywords = dict(call.keywords)
        bound = _given_names(function, call.arguments, keywords)
        if callee.context is not None and callee.context not in bound:
            keywords[callee.context] = context
        if callee.takes_key and KEY_PARAMETER not in bound:
            keywords[KEY_PARAMETER] = call.key
        CURRENT.set(context)
        try:
            it = partial(function, *call.arguments, **keywords)
            timeout_ms = call.options.timeout_ms
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000):
                return await self._result(it, callee, cut=not call.is_claimed)
        finally:
            # Calls are not nested, so there was none before.
            CURRENT.set(None)

    async def _result(self, it: Callable[[], Any], callee: Callee, *, cut: bool) -> Any:
        """A thread cannot be cut: where its effect must be known, what it returns or raises is the answer."""
        if callee.is_async:
            return await it()
        if self._threads is None:
            value = it()
        else:
            running = asyncio.wrap_future(self._threads.submit(partial(contextvars.copy_context().run, it)))
            value = await (running if cut else _to_its_end(running))
        return await value if asyncio.iscoroutine(value) else value

    async def _looked(self, call: Call) -> JournalEntry | CallInDoubt | None:
        """Ask the check: the outcome, or None for "has not happened". One that cannot tell leaves it to a human."""
        tries = self._tries(call)
        while True:
            try:
                return await self._checked(call)
            except Exception as error:  # noqa: BLE001 - the call boundary
                info = self._failure(call, error)
            delay_ms = tries.failed(info)
            if delay_ms is None:
                return CallInDoubt(call.place.position, info)
            await asyncio.sleep(delay_ms / 1_000)

    async def _checked(self, call: Call) -> JournalEntry | None:
        check = call.options.check
        if check is None:
            return None
        answer = await self._invoke(call, check, callee_of(check))
        if answer is None or answer is False:
            return None
        result = answer.result if isinstance(answer, Happened) else None if answer is True else answer
        return await self._done(call, result)

    # Entries ----------------------------------------------------------------------------------------------------

    async def _done(self, call: Call, result: Any) -> JournalEntry:
        write = written(call.callee.adapter, result, call.what)
        return self._entry(call, "done", writes=await self._journal.values.seal((write,), call.what))

    def _entry(self, call: Call, state: Any, **more: Any) -> JournalEntry:
        name, ordinal, position = call.place
        effect = call.options.effect.kind if state == "intent" else None
        at_ms = self._clock.now_ms()
        used = {} if state == "intent" else dict(call.used)
        return JournalEntry(
            name=name, ordinal=ordinal, state=state, position=position, at_ms=at_ms, effect=effect, used=used, **more
        )

    def _failure(self, call: Call, error: Exception) -> ErrorInfo:
        if isinstance(error, TimeoutError) and not str(error):
            message = f"call {call.place.name!r} gave no result within {call.options.timeout_ms} ms"
            return ErrorInfo(code="timeout", message=message, kind="timeout")
        info = error_info(error, called=True, once=call.options.effect.kind == "ONCE")
        kind = "fatal" if isinstance(error, StepSignatureError | PayloadTooLarge) else info.kind
        return ErrorInfo(
            code=info.code,
            message=info.message[:KEPT_MESSAGE_CHARACTERS],
            kind=kind,
            type_name=info.type_name,
            retry_after_ms=info.retry_after_ms,
        )

    async def _until(self, due_ms: int) -> None:
        # Polled, since the clock is a port that knows no wake-up.
        while (left_ms := due_ms - self._clock.now_ms()) > 0:  # noqa: ASYNC110 - see above
            await asyncio.sleep(min(left_ms, 50) / 1_000)


async def _to_its_end(running: "asyncio.Future[Any]") -> Any:
    """Its outcome, however long it takes; who is cut meanwhile is cut then."""
    cut: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cut = error
    if cut is not None and running.cancelled():
        raise cut
    return running.result()


def _given_names(function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> set[str]:
    """Parameters that the code itself fills."""
    try:
        return set(inspect.signature(function).bind_partial(*arguments, **keywords).arguments)
    except (TypeError, ValueError):
        return set(keywords)
