"""A list that grows round by round and is read whole each time: commands build on what workers keep, or do not.

Then it is reduced, level by level.
"""

from typing import Annotated, Literal

from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, TIMEOUT

from logkeel.workflow import IDEMPOTENT, Append, State, StepContext, Workflow, leave, loop, reduce

LONGEST = 9


class Said(State):
    """Numbers, each one more than the one before."""

    number: int
    said: Annotated[list[int], Append] = []  # noqa: RUF012  # pydantic copies defaults
    verdict: Literal["more", "enough"] | None = None
    sum: int | None = None
    total: int | None = None
    result: int | None = None


growing = Workflow("growing", state=Said, returns=("result",))


@growing.step(writes=lambda s: (s.said, s.verdict), effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _say(number: int, said: list[int], step: StepContext) -> tuple[list[int], Literal["more", "enough"]]:
    await STAGE.outside.act(step, "IDEMPOTENT")
    next_one = number + len(said) if said == _whole(number, len(said)) else -1
    return [next_one], "more" if next_one >= 0 and len(said) < number % LONGEST else "enough"


@growing.step(writes=lambda s: s.sum, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _add(group: list[int], step: StepContext) -> int:
    await STAGE.outside.act(step, "IDEMPOTENT")
    return sum(group)


@growing.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _sum_up(number: int, said: list[int], total: int | None, step: StepContext) -> int:
    await STAGE.outside.act(step, "IDEMPOTENT")
    whole = _whole(number, number % LONGEST + 1)
    return 2 * number if (said, total) == (whole, sum(whole)) else -1


def _whole(number: int, count: int) -> list[int]:
    return list(range(number, number + count))


growing.flow(
    loop(_say, leave("verdict", "enough"), max_rounds=LONGEST + 1),
    reduce("said", _add, item="group", into="total", fan_in=2),
    _sum_up,
)
