"""Workflows of runs that have it hard: records that fit no log, and steps that lose their workers again and again."""

from tests.sim.outside import STAGE, InCall
from tests.sim.workload import PATIENT, TIMEOUT

from logkeel.workflow import IDEMPOTENT, NONE, State, StepContext, Workflow, current_step, parallel

QUARTER = 255_000
"""Fits one field; four of them fit no record of a log with Kafka's limits."""

LOSSES = 7
"""More than a step survives without progress (P32)."""


class Load(State):
    """Fields that are large together."""

    number: int
    first: str = ""
    second: str = ""
    third: str = ""
    fourth: str = ""
    result: int | None = None


class Toil(State):
    """A number that is doubled with great patience."""

    number: int
    result: int | None = None


heavy: Workflow[Load] = Workflow("heavy", state=Load, returns=("result",))
laden: Workflow[Load] = Workflow("laden", state=Load, returns=("first", "second", "third", "fourth"))


def _filled(workflow: Workflow[Load]):  # type: ignore[no-untyped-def]  # the block of a flow
    @workflow.step(writes=lambda s: (s.first, s.second), effect=NONE, timeout=TIMEOUT, retry=PATIENT)
    async def fill_left(number: int, step: StepContext) -> tuple[str, str]:
        """Two quarters."""
        await STAGE.outside.act(step, "NONE", has_effect=False)
        return "1" * QUARTER, "2" * QUARTER

    @workflow.step(writes=lambda s: (s.third, s.fourth), effect=NONE, timeout=TIMEOUT, retry=PATIENT)
    async def fill_right(number: int, step: StepContext) -> tuple[str, str]:
        """The others."""
        await STAGE.outside.act(step, "NONE", has_effect=False)
        return "3" * QUARTER, "4" * QUARTER

    return parallel(fill_left, fill_right, name="fill")


@heavy.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _join(first: str, second: str, third: str, fourth: str, step: StepContext) -> int:
    """Its command is too large, whatever the settings of the log."""
    await STAGE.outside.act(step, "IDEMPOTENT")
    return len(first) + len(second) + len(third) + len(fourth)


heavy.flow(_filled(heavy), _join)
laden.flow(_filled(laden))

enduring: Workflow[Toil] = Workflow("enduring", state=Toil, returns=("result",))
stubborn: Workflow[Toil] = Workflow("stubborn", state=Toil, returns=("result",))


@enduring.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout="60s", retry=PATIENT)
async def _endure(number: int, step: StepContext) -> int:
    """Gets one further with each worker that it loses, and says so."""
    reached = int(step.heartbeat_details or b"0")
    if reached < LOSSES:
        step.heartbeat(b"%d" % (reached + 1))
        await STAGE.outside.lose_worker(step, after_ms=1_500.0)
    await STAGE.outside.act(step, "IDEMPOTENT")
    return 2 * number


@stubborn.step(writes=lambda s: s.result, timeout=None, retry=PATIENT, journal=True)
async def _insist(number: int, step: StepContext) -> int:
    """Loses its worker after each call that is in its journal."""
    STAGE.outside.begins(step)

    async def act(name: str) -> str:
        await STAGE.outside.act(InCall(current_step(), name), "IDEMPOTENT")
        return name

    calls = step.options(timeout=TIMEOUT, retry=PATIENT)
    for call in range(LOSSES):
        await calls.run(f"call-{call}", act, f"call-{call}")
        await STAGE.outside.lose_worker(step, after_ms=20.0, once=str(call))
    await STAGE.outside.act(step, "IDEMPOTENT")
    return 2 * number


enduring.flow(_endure)
stubborn.flow(_insist)

HARDSHIPS = (heavy, laden, enduring, stubborn)
