"""Runs that fail until somebody has seen to it and retries them: their workflows, who retries, and their judge."""

from collections.abc import Iterator, Mapping
from random import Random

from tests.sim.families import chat
from tests.sim.kin import elder, frail, kin
from tests.sim.outside import STAGE, InCall, Outside
from tests.sim.patches import PATCHED, has_failed
from tests.sim.workload import PATIENT, SETTLE, TIMEOUT, Work, copy_of, double_of, post_of

from logkeel.records import RetryRun, RunCompleted, RunEvent
from logkeel.testing.world import World
from logkeel.workflow import (
    KEYED,
    ONCE,
    Fail,
    Retry,
    StepContext,
    Workflow,
    current_step,
    parallel,
    rescue,
    sleep,
    within,
)

Histories = Mapping[tuple[str, str], list[RunEvent]]

tough: Workflow[Work] = Workflow("tough", state=Work, returns=("result",))
pondering: Workflow[Work] = Workflow("pondering", state=Work, returns=("result",))


def _closed(run_id: str, number: int) -> None:
    """Fails for good until somebody has seen to it as often as the number says."""
    if STAGE.outside.opened[run_id] <= number % 3:
        raise Fail("closed", "nobody has seen to it")


@tough.step(writes=lambda s: s.left, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _knock(number: int, step: StepContext) -> str:
    """Under one key, in whichever life of the run."""
    await STAGE.outside.act(step, "KEYED")
    _closed(step.run_id, number)
    return str(number)


@tough.step(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT)
async def _note(step: StepContext) -> None:
    """Cut off by the failure beside it, perhaps behind its effect."""
    await STAGE.outside.act(step, "CHECKED")


@_note.check
async def _was_noted(step: StepContext) -> bool:
    return STAGE.outside.happened(step)


@tough.step(effect=ONCE, timeout=TIMEOUT, retry=Retry(max_attempts=12, initial="20ms", on="not_done"))
async def _bill(step: StepContext) -> None:
    """As well, and never repeated blindly."""
    await STAGE.outside.act(step, "ONCE")


tough.flow(
    copy_of(tough),
    parallel(
        rescue(_knock, on={"stumbled": sleep("1ms")}),
        (_note, _bill),
        within("90s", (sleep("300ms"), double_of(tough)), name="while"),
        name="all",
    ),
    post_of(tough),
)


@pondering.step(writes=lambda s: s.result, timeout=None, retry=PATIENT, journal=True)
async def _ponder(number: int, step: StepContext) -> int:
    """Durable code whose third call fails: those before it are never made again, the next try makes it once more."""
    plain = step.options(timeout=TIMEOUT, retry=PATIENT)

    async def act(name: str, number: int) -> int:
        await STAGE.outside.act(InCall(current_step(), name), "IDEMPOTENT")
        return number

    async def ask(number: int) -> int:
        await STAGE.outside.act(InCall(current_step(), "ask"), "IDEMPOTENT")
        _closed(current_step().run_id, number)
        return number

    first, _ = await step.gather(plain.run("think", act, "think", number), plain.run("look", act, "look", number))
    await step.sleep("200ms")
    return first + await plain.run("ask", ask, number)


pondering.flow(_ponder)

RETRIED = (tough, pondering)
FAILURES = {*((each.name, "failed") for each in (*RETRIED, kin, elder, chat)), ("hurried", "timed_out")}
"""By workflow and status: what somebody sees to."""

LEFT = 0.5
"""Of the runs that took too long, so many are left as they are; the others are retried once."""


class Retries:
    """Somebody who sees to it when such a run has failed, and retries it, sooner or later, and perhaps twice."""

    def __init__(self, world: World, outside: Outside) -> None:
        self._world, self._outside = world, outside
        self._due: list[tuple[float, RetryRun, bool]] = []
        self._seen: set[tuple[str, str, int]] = set()
        self._workflows: dict[str, str] = {}

    def plans(self, completed: RunCompleted) -> bool:
        """Whether the run will be retried: this is not its end."""
        if (completed.workflow, completed.status) not in FAILURES and not has_failed(completed):
            return False
        if completed.status == "timed_out" and Random(f"{completed.run_id}/{completed.incarnation}").random() < LEFT:
            return False
        if completed.status == "timed_out" and completed.retries:
            return False
        place = (completed.run_id, completed.incarnation, completed.retries)
        if place in self._seen:
            return True
        self._seen.add(place)
        self._workflows[completed.run_id] = completed.workflow
        draw = Random(f"{completed.run_id}/{completed.retries}")
        request = RetryRun(
            run_id=completed.run_id,
            request_id=f"{completed.run_id}/retry/{completed.retries}",
            routing_key=completed.conversation_id,
        )
        at_ms = self._world.elapsed_ms + draw.choice((10, 600, 4_000))
        self._due.append((at_ms, request, True))
        if draw.random() < 0.5:
            self._due.append((at_ms + draw.choice((1, 700, 9_000)), request, False))
        return True

    @property
    def is_done(self) -> bool:
        """Whether all copies were sent."""
        return not self._due

    def due(self) -> Iterator[RetryRun]:
        """What is to be sent now."""
        if not self._due:
            return
        now_ms = self._world.elapsed_ms
        for _, request, sees_to_it in [each for each in self._due if each[0] <= now_ms]:
            for whose in (request.run_id, self._workflows[request.run_id]):
                self._outside.opened[whose] += sees_to_it
            self._world.trace.note(now_ms, "human", "RETRIES", request.run_id)
            yield request
        self._due = [each for each in self._due if each[0] > now_ms]


def faults_of_retries(histories: Histories) -> Iterator[str]:
    """One retry for each request, in one incarnation; what was done before is never done again."""
    for (run_id, _), events in histories.items():
        asked = [event.request_id for event in events if event.kind == "run_retried"]
        if len(asked) != len(set(asked)):
            yield f"P26: {run_id} was retried more than once for one request: {asked}"
        known = {*(name for name, _ in FAILURES), *(each.name for each in PATCHED), frail.name}
        if asked and events[0].workflow not in known:
            yield f"{run_id} was retried, and nobody has asked for it"
        done = [event.path for event in events if event.kind == "step_succeeded"]
        if len(done) != len(set(done)):
            yield f"{run_id}: a step was done twice: {done}"
