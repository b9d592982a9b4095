"""The workflow that is run under fire: one step per effect, two of them at once. Served by `logkeel worker`."""

import asyncio
import os
import zlib

from tests.chaos.outside import happened, note

from logkeel.workflow import CHECKED, IDEMPOTENT, KEYED, NONE, ONCE, Retry, State, StepContext, Workflow, parallel

SLOWER = float(os.environ.get("CHAOS_SLOWER", "1"))
"""How much longer the steps take than the 20 to 180 ms they take by themselves."""

PATIENT = Retry(max_attempts=10, initial="50ms", maximum="500ms")


class Work(State):
    """A number goes in, and comes out doubled."""

    number: int
    doubled: int | None = None
    copied: int | None = None
    result: int | None = None


chaos = Workflow("chaos", state=Work, returns=("result",))


async def act(step: StepContext, effect: str, *, has_effect: bool = True) -> None:
    """Begin, take some time, have the effect, take some time, end."""
    pause_s = (zlib.crc32(f"{step.idempotency_key}{step.dispatch}".encode()) % 80 + 10) / 1_000 * SLOWER
    place = {"run": step.run_id, "incarnation": step.incarnation, "path": step.path, "effect": effect}
    note("begin", key=step.idempotency_key, dispatch=step.dispatch, **place)
    await asyncio.sleep(pause_s)
    if has_effect:
        note("effect", key=step.idempotency_key, dispatch=step.dispatch, **place)
    await asyncio.sleep(pause_s)
    note("end", key=step.idempotency_key, dispatch=step.dispatch, **place)


@chaos.step(writes=lambda s: s.doubled, effect=NONE, timeout="5s", retry=PATIENT)
async def double(number: int, step: StepContext) -> int:
    """Reads only."""
    await act(step, "NONE", has_effect=False)
    return 2 * number


@chaos.step(writes=lambda s: s.copied, effect=IDEMPOTENT, timeout="5s", retry=PATIENT)
async def copy(number: int, step: StepContext) -> int:
    """May run twice."""
    await act(step, "IDEMPOTENT")
    return number


@chaos.step(writes=lambda s: s.result, effect=KEYED, timeout="5s", retry=PATIENT)
async def post(doubled: int, copied: int, step: StepContext) -> int:
    """Outside, the key is known."""
    await act(step, "KEYED")
    return doubled if copied * 2 == doubled else -1


@chaos.step(effect=CHECKED(settle="300ms"), timeout="2s", retry=PATIENT)
async def mail(step: StepContext) -> None:
    """Outside, one can look."""
    await act(step, "CHECKED")


@mail.check
async def was_mailed(step: StepContext) -> bool:
    """Whether it is in the ledger."""
    return happened(step.idempotency_key)


@chaos.step(effect=ONCE, timeout="5s")
async def pay(step: StepContext) -> None:
    """Never again without a human's word."""
    await act(step, "ONCE")


chaos.flow(parallel(double, copy), post, mail, pay)
