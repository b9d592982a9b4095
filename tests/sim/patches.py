"""Runs some of whose elements fail until somebody has seen to it and retries them: their workflows, and their judge."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, SETTLE, TIMEOUT

from logkeel.records import RunCompleted, RunEvent
from logkeel.testing.world import World
from logkeel.testing.world.judging import completions_of
from logkeel.workflow import (
    IDEMPOTENT,
    KEYED,
    ONCE,
    Append,
    Fail,
    Put,
    Retry,
    State,
    StepContext,
    StepErrorView,
    Workflow,
    each,
    parallel,
)

Histories = Mapping[tuple[str, str], list[RunEvent]]
LEAST = 2


class Patch(State):
    """Some numbers, each of which is worked on in several steps."""

    number: int
    numbers: Annotated[list[int], Append] = []  # noqa: RUF012  # pydantic copies defaults
    seen: int | None = None
    twice: int | None = None
    doubled: Annotated[list[int], Append] = []  # noqa: RUF012  # pydantic copies defaults
    failed: Annotated[dict[str, StepErrorView], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    result: int | None = None


patchy = Workflow("patchy", state=Patch, returns=("result", "failed", "doubled"))
"""Succeeds without what has failed, and nothing follows."""

strict = Workflow("strict", state=Patch, returns=("result", "doubled"))
"""Fails if more than one of them has."""


def _parts(workflow: Workflow[Patch]):  # type: ignore[no-untyped-def]  # a step's type is the decorator's own
    @workflow.step(writes=lambda s: (s.numbers, s.result), effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
    async def listed(number: int, step: StepContext) -> tuple[list[int], int]:
        await STAGE.outside.act(step, "IDEMPOTENT")
        return list(range(number, number + LEAST + number % 4)), 2 * number

    @workflow.step(writes=lambda s: s.seen, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
    async def see(one: int, step: StepContext) -> int:
        """Done before its element fails, and never again."""
        await STAGE.outside.act(step, "KEYED")
        return one

    @workflow.step(writes=lambda s: s.twice, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
    async def patch(one: int, seen: int, number: int, step: StepContext) -> int:
        """Every second number fails, until somebody has seen to it often enough."""
        await STAGE.outside.act(step, "KEYED")
        if one % 2 and STAGE.outside.opened[step.run_id] <= number % 2:
            raise Fail("closed", "nobody has seen to it")
        return one + seen

    @workflow.step(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT)
    async def mark(one: int, step: StepContext) -> None:
        """Cut off by the failure beside it, perhaps behind its effect."""
        await STAGE.outside.act(step, "CHECKED")

    @mark.check
    async def was_marked(step: StepContext) -> bool:
        return STAGE.outside.happened(step)

    @workflow.step(effect=ONCE, timeout=TIMEOUT, retry=Retry(max_attempts=12, initial="20ms", on="not_done"))
    async def charge(one: int, step: StepContext) -> None:
        """As well, and never repeated blindly."""
        await STAGE.outside.act(step, "ONCE")

    return listed, (see, parallel(patch, mark, charge, name="all"))


_listed, _body = _parts(patchy)
patchy.flow(
    _listed,
    each("numbers", _body, item="one", value="twice", collect="doubled", failed="failed", concurrency=2),
)

_counted, _all = _parts(strict)


@strict.step(effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _close(doubled: list[int], step: StepContext) -> None:
    """What follows is done once, when enough have ended."""
    await STAGE.outside.act(step, "KEYED")


strict.flow(
    _counted,
    each("numbers", _all, item="one", value="twice", collect="doubled", failed="failed", concurrency=2, max_failures=0),
    _close,
)

PATCHED = (patchy, strict)


def has_failed(completed: RunCompleted) -> bool:
    """Whether elements of this run are to be retried."""
    if completed.workflow == strict.name:
        return completed.status == "failed"
    failed = next((value.elements for value in completed.result if value.field == "failed"), ())
    return completed.workflow == patchy.name and completed.status == "succeeded" and bool(failed)


def faults_of_patches(world: World, histories: Histories) -> Iterator[str]:
    """In the end nothing has failed, each step of each element was done once, and what follows was too."""
    completions, _ = completions_of(world)
    last = {each.run_id: each for each in completions if not each.reannounced}
    for (run_id, _), events in histories.items():
        end = last.get(run_id)
        if events[0].workflow not in {each.name for each in PATCHED} or end is None or end.status != "succeeded":
            continue
        begun = {event.path for event in events if event.kind == "block_entered" and "element" in event.attributes}
        done = [event.path or "" for event in events if event.kind == "step_succeeded"]
        for part in ("see", "all/patch", "all/mark", "all/charge"):
            of_part = [path for path in done if path.endswith(f"]/{part}")]
            if sorted(of_part) != sorted(f"{path}/{part}" for path in begun):
                yield f"{run_id} has ended with {part} done for {of_part} of {sorted(map(str, begun))}"
        doubled = next(value.elements for value in end.result if value.field == "doubled")
        numbers = [int(each.payload.data or b"0") for each in doubled]
        if numbers != list(range(numbers[0], numbers[-1] + 1, 2)) or len(numbers) != len(begun):
            yield f"{run_id} has collected {numbers} of {len(begun)} elements"
