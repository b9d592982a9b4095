"""Parents that are retried with their children, of blocks and of code: their workflows."""

from tests.sim.outside import STAGE
from tests.sim.workload import PATIENT, SETTLE, TIMEOUT, Work, copy_of, double_of, post_of

from logkeel.workflow import IDEMPOTENT, KEYED, ChildOptions, Fail, StepContext, Workflow, child, parallel, sleep

frail: Workflow[Work] = Workflow("frail", state=Work, returns="result")
"""A child that fails until somebody has seen to it, or that is cut off while it sleeps."""

KIN, ELDER = "kin", "elder"


def _seen_to(number: int) -> bool:
    return max(STAGE.outside.opened[KIN], STAGE.outside.opened[ELDER]) > number % 2


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

elder: Workflow[Work] = Workflow(ELDER, state=Work, returns=("result",))


@elder.step(writes=lambda s: s.left, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _falter(number: int, step: StepContext) -> str:
    """Fails beside code whose children are cancelled then."""
    await STAGE.outside.act(step, "IDEMPOTENT")
    if number % 2 and not _seen_to(number):
        raise Fail("closed", "nobody has seen to it")
    return ""


@elder.step(writes=lambda s: s.result, timeout=None, retry=PATIENT, journal=True, children=[frail])
async def _send_out(number: int, step: StepContext) -> int:
    """Two children side by side, then one more; each fails, is cut off, or neither."""
    STAGE.outside.begins(step)
    first, second = await step.gather(
        step.child(frail, {"number": number}),
        step.child(frail, {"number": number + 1}, options=ChildOptions(name="other")),
    )
    third = await step.child(frail, {"number": number + 2}, options=ChildOptions(name="last"))
    return 2 * number if (first, second, third) == (2 * number, 2 * number + 2, 2 * number + 4) else -1


elder.flow(parallel((sleep("200ms"), _falter), _send_out, name="all"))

RELATED = (kin, elder, frail)
