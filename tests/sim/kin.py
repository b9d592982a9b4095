"""Parents that are retried with their children, and turns that are: their workflows."""

from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, SETTLE, TIMEOUT, Work, copy_of, double_of, post_of

from logkeel.workflow import IDEMPOTENT, KEYED, Fail, StepContext, Workflow, child, parallel, sleep

frail: Workflow[Work] = Workflow("frail", state=Work, returns="result")
"""A child that fails until somebody has seen to it, or that is cut off while it sleeps."""

KIN = "kin"


def _seen_to(number: int) -> bool:
    return STAGE.outside.opened[KIN] > number % 2


@frail.step(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT)
async def _note(step: StepContext) -> None:
    """Cut off when the parent ends, perhaps behind its effect."""
    await STAGE.outside.act(step, "CHECKED")


@_note.check
async def _was_noted(step: StepContext) -> bool:
    return STAGE.outside.happened(step)


@frail.step(writes=lambda s: s.result, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _knock(number: int, step: StepContext) -> int:
    await STAGE.outside.act(step, "KEYED")
    if number % 3 and not _seen_to(number):
        raise Fail("closed", "nobody has seen to it")
    return 2 * number


frail.flow(copy_of(frail), sleep("300ms"), _note, _knock)

kin: Workflow[Work] = Workflow(KIN, state=Work, returns=("result",))


@kin.step(writes=lambda s: s.left, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _stumble(number: int, step: StepContext) -> str:
    """Fails beside the child, which is cancelled then."""
    await STAGE.outside.act(step, "IDEMPOTENT")
    if number % 3 == 0 and not _seen_to(number):
        raise Fail("closed", "nobody has seen to it")
    return ""


kin.flow(
    parallel(double_of(kin), (sleep("200ms"), _stumble), child(frail, name="kid", writes="copied"), name="all"),
    post_of(kin),
)

RELATED = (kin, frail)
