"""What the routes of a gateway share, put together by `logkeel.gateway.serving`; and how they wait and speak."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from logkeel.client import Client
from logkeel.errors import CallerError, ReadModelBehind, RunNotFound, TooManyRequests
from logkeel.gateway.access import Verifier
from logkeel.gateway.bulletin import Bulletin
from logkeel.gateway.hub import StreamHub
from logkeel.gateway.limits import RateLimit
from logkeel.gateway.published import Published
from logkeel.gateway.settings import GatewaySettings
from logkeel.gateway.tracing import CallTracer
from logkeel.log import TopicPartition
from logkeel.payloads import PayloadChain
from logkeel.projection import RunView
from logkeel.readmodel import ReadModel, Reflects
from logkeel.records.topics import TopicNames

T = TypeVar("T")

MAX_WAIT_S: Final = 60.0
BEHIND_S: Final = 10.0
"""How long an answer waits for the offset that it is asked to reflect."""

SILENT_S: Final = 30.0
"""A projector that has not turned for so long is not alive."""


@dataclass(slots=True)
class Pulse:
    """How the projector is: when it turned last, and whether it has caught up with what was there at first."""

    turned_s: float = 0.0
    caught_up: bool = False


@dataclass(slots=True)
class Calls:
    """Counted calls, by method, route and status."""

    by_route: dict[tuple[str, str, int], int] = field(default_factory=dict)
    streams: int = 0

    def count(self, method: str, route: str, status: int) -> None:
        """One more."""
        key = (method, route, status)
        self.by_route[key] = self.by_route.get(key, 0) + 1


@dataclass(slots=True, kw_only=True)
class Parts:
    """Of one gateway. `now_ms`: the wall clock; `monotonic_s`: one that never jumps; `positions`: the projector's."""

    settings: GatewaySettings
    names: TopicNames
    client: Client
    model: ReadModel
    hub: StreamHub
    published: Published
    payloads: PayloadChain
    verifiers: Sequence[Verifier]
    now_ms: Callable[[], int]
    monotonic_s: Callable[[], float]
    positions: Callable[[], Mapping[TopicPartition, int]]
    rate: RateLimit
    pulse: Pulse
    began_ms: int
    calls: Calls = field(default_factory=Calls)
    tracer: CallTracer | None = None
    bulletin: Bulletin = field(init=False)
    """Made with the event loop."""

    async def settle(self, min_offset: str | None) -> None:
        """Wait until answers reflect these offsets of `run-events`: `2:1234,3:77`. Raises `ReadModelBehind`."""
        if min_offset is None:
            return
        wanted = {TopicPartition(self.names.run_events, number): at for number, at in _offsets(min_offset)}
        if not await self.bulletin.reached(wanted, min(BEHIND_S, self.settings.max_wait_s)):
            raise ReadModelBehind(f"the read model has not reached {min_offset}: ask again", min_offset=min_offset)

    async def known(self, run_id: str) -> RunView:
        """The run as a list shows it; one that was just asked for is waited for. Raises `RunNotFound`."""

        async def look() -> RunView | None:
            return await in_thread(self.model.find, run_id)

        found = await self.bulletin.until(look, self.settings.appear_s, run_id=run_id)
        if found is None:
            raise RunNotFound(
                f"there is no run {run_id!r} in the history that is kept; one that was just asked for appears once an"
                " engine has taken it",
                run_id=run_id,
            )
        return found

    def bounded(self, wait_s: float) -> float:
        """How long a call waits that asks for so long."""
        return min(wait_s, self.settings.max_wait_s)

    def reflects(self, reflects: Reflects) -> dict[str, int]:
        """Offsets of `run-events` as answers say them: everything below is in."""
        return {str(number): at for number, at in sorted(reflects.get(self.names.run_events, {}).items())}

    def begin_stream(self) -> None:
        """One more event stream. Raises `TooManyRequests`."""
        if self.calls.streams >= self.settings.max_streams:
            raise TooManyRequests(f"{self.calls.streams} event streams are open, which is all there may be")
        self.calls.streams += 1


def answered(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON."""
    return Response(msgspec.json.encode(value, enc_hook=str), status, headers, "application/json")


async def in_thread(work: Callable[..., T], *arguments: Any, **more: Any) -> T:
    """What blocks, away from the event loop."""
    return await run_in_threadpool(work, *arguments, **more)


def _offsets(text: str) -> list[tuple[int, int]]:
    pairs = [each.partition(":") for each in text.split(",")]
    if not all(number.isdecimal() and number.isascii() and at.isdecimal() and at.isascii() for number, _, at in pairs):
        raise CallerError(f"min_offset is PARTITION:OFFSET, or several with commas, not {text!r}")
    return [(int(number), int(at)) for number, _, at in pairs]
