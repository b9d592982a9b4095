"""The workflows of a simulation: every effect, every kind of block, a deadline, large records."""

from contextlib import suppress
from typing import Annotated, Literal

from tests.sim.outside import STAGE, TIMEOUT_MS, InCall

from logkeel.runs.core.paths import round_of
from logkeel.workflow import (
    CHECKED,
    IDEMPOTENT,
    KEYED,
    NONE,
    ONCE,
    Add,
    Append,
    Control,
    Fail,
    Put,
    Retry,
    State,
    StepContext,
    StepErrorView,
    Workflow,
    branch,
    current_step,
    each,
    human,
    leave,
    loop,
    parallel,
    rescue,
    sleep,
    wait_signal,
    within,
)

PATIENT = Retry(max_attempts=12, initial="20ms", maximum="200ms")
TIMEOUT = f"{TIMEOUT_MS}ms"
SETTLE_MS = 300
SETTLE = CHECKED(settle=f"{SETTLE_MS}ms")
HURRY_MS = 2_500
BULK = 15_000
"""Fits a row and a record; two of them do not."""


class Work(State):
    """A number goes in, and comes out doubled."""

    number: int
    doubled: int | None = None
    copied: int | None = None
    result: int | None = None
    left: str = ""
    right: str = ""
    verdict: Literal["more", "enough"] | None = None
    decision: Literal["approve", "reject"] = "approve"


def _workflow(name: str, *, run_timeout: str | None = None) -> Workflow[Work]:
    return Workflow(name, state=Work, returns=("result",), run_timeout=run_timeout)


def double_of(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # a step's type is the decorator's own
    @workflow.step(writes=lambda s: s.doubled, effect=NONE, timeout=TIMEOUT, retry=PATIENT)
    async def double(number: int, step: StepContext) -> int:
        """Reads only."""
        await STAGE.outside.act(step, "NONE", has_effect=False)
        return 2 * number

    return double


def copy_of(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(writes=lambda s: s.copied, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
    async def copy(number: int, step: StepContext) -> int:
        """May run twice."""
        await STAGE.outside.act(step, "IDEMPOTENT")
        return number

    return copy


def post_of(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(writes=lambda s: s.result, effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
    async def post(number: int, step: StepContext) -> int:
        """Outside, the key is known."""
        await STAGE.outside.act(step, "KEYED")
        return 2 * number

    return post


def _ping(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
    async def ping(step: StepContext) -> None:
        """Used twice in one flow."""
        await STAGE.outside.act(step, "KEYED")

    return ping


def _mail(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT)
    async def mail(step: StepContext) -> None:
        """Outside, one can look."""
        await STAGE.outside.act(step, "CHECKED")

    @mail.check
    async def was_mailed(step: StepContext) -> bool:
        """Whether it happened."""
        return STAGE.outside.happened(step)

    return mail


def _pay(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(effect=ONCE, timeout=TIMEOUT, retry=Retry(max_attempts=12, initial="20ms", on="not_done"))
    async def pay(step: StepContext) -> None:
        """Never again without a human's word."""
        await STAGE.outside.act(step, "ONCE")

    return pay


def _sum(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
    async def total(doubled: int, copied: int, step: StepContext) -> int:
        """Needs what both branches wrote."""
        await STAGE.outside.act(step, "IDEMPOTENT")
        return doubled if doubled == 2 * copied else -1

    return total


def _bulk(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(writes=lambda s: s.left, effect=NONE, timeout=TIMEOUT, retry=PATIENT)
    async def fill_left(number: int, step: StepContext) -> str:
        """Half of what does not fit."""
        await STAGE.outside.act(step, "NONE", has_effect=False)
        return "l" * BULK

    @workflow.step(writes=lambda s: s.right, effect=NONE, timeout=TIMEOUT, retry=PATIENT)
    async def fill_right(number: int, step: StepContext) -> str:
        """The other half."""
        await STAGE.outside.act(step, "NONE", has_effect=False)
        return "r" * BULK

    @workflow.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
    async def join(left: str, right: str, step: StepContext) -> int:
        """Its command is too large to be sent."""
        return len(left) + len(right)

    return fill_left, fill_right, join


def _weigh(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(writes=lambda s: s.verdict, effect=NONE, timeout=TIMEOUT, retry=PATIENT)
    async def weigh(number: int, step: StepContext) -> Literal["more", "enough"]:
        """Has had enough in a round that the number says."""
        await STAGE.outside.act(step, "NONE", has_effect=False)
        return "enough" if round_of(step.path.rpartition("/")[0]) > number % 4 else "more"

    return weigh


def stumble_of(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    @workflow.step(writes=lambda s: s.copied, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
    async def stumble(number: int, step: StepContext) -> int:
        """Fails for good with odd numbers."""
        await STAGE.outside.act(step, "IDEMPOTENT")
        if number % 2:
            raise Fail("stumbled", "an odd number")
        return number

    return stumble


def _reason(workflow: Workflow[Work]):  # type: ignore[no-untyped-def]  # as above
    async def act(name: str, effect: str, number: int) -> int:
        await STAGE.outside.act(InCall(current_step(), name), effect)
        return number

    async def was_noted(name: str, effect: str, number: int) -> int | None:
        return number if STAGE.outside.happened(InCall(current_step(), name)) else None

    @workflow.step(writes=lambda s: s.result, timeout=None, retry=PATIENT, journal=True)
    async def reason(number: int, step: StepContext) -> int:
        """Durable code: each call has an effect of its own kind; two of them at the same time."""
        STAGE.outside.begins(step)
        calls = {
            "KEYED": step.options(effect=KEYED, timeout=TIMEOUT, retry=PATIENT),
            "CHECKED": step.options(effect=SETTLE, timeout=TIMEOUT, retry=PATIENT, check=was_noted),
            "ONCE": step.options(effect=ONCE, timeout=TIMEOUT, retry=Retry(12, initial="20ms", on="not_done")),
        }
        plain = step.options(timeout=TIMEOUT, retry=PATIENT)
        first = await plain.run("think", act, "think", "IDEMPOTENT", number)
        await step.gather(
            calls["KEYED"].run("post", act, "post", "KEYED", number),
            calls["CHECKED"].run("note", act, "note", "CHECKED", number),
        )
        await step.sleep("700ms")
        with suppress(TimeoutError):
            await step.ask("go on?", int, show=number, timeout="3s")
        await calls["ONCE"].run("pay", act, "pay", "ONCE", number)
        return first + await plain.run("write", act, "write", "IDEMPOTENT", number)

    return reason


chain = _workflow("chain")
chain.flow(double_of(chain), post_of(chain), _mail(chain), _pay(chain))

fan = _workflow("fan")
_again = _ping(fan)
fan.flow(parallel(double_of(fan), copy_of(fan), _again, name="work"), _sum(fan), _again, _pay(fan))

careful = _workflow("careful")
_doubled, _mailed, _paid = double_of(careful), _mail(careful), _pay(careful)
careful.flow(parallel((_doubled, _mailed), _paid, name="both"), post_of(careful))

hurried = _workflow("hurried", run_timeout=f"{HURRY_MS}ms")
hurried.flow(double_of(hurried), copy_of(hurried), post_of(hurried))

bulky = _workflow("bulky")
_left, _right, _joined = _bulk(bulky)
bulky.flow(parallel(_left, _right, name="fill"), _joined)

winding = _workflow("winding")
_posted, _pinged = post_of(winding), _ping(winding)
winding.flow(
    parallel(
        double_of(winding),
        loop(_weigh(winding), leave("verdict", "enough"), _pinged, max_rounds=3, on_exhausted="continue"),
        human("ask", writes="decision", timeout="1500ms", remind="600ms", on_timeout="approve"),
        name="work",
    ),
    within("20s", rescue(stumble_of(winding), on={"stumbled": copy_of(winding)})),
    parallel(wait_signal("hint", timeout="900ms", on_timeout="continue"), sleep("400ms"), wait="first", name="pause"),
    branch("decision", approve=_posted, reject=(sleep("200ms"), _posted)),
    _pay(winding),
)


agent = _workflow("agent")
agent.flow(_reason(agent))


class Many(State):
    """Some numbers, one after the other."""

    number: int
    numbers: Annotated[list[int], Append] = []  # noqa: RUF012  # pydantic copies defaults
    twice: int | None = None
    doubled: Annotated[list[int], Append] = []  # noqa: RUF012  # pydantic copies defaults
    failed: Annotated[dict[str, StepErrorView], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    count: Annotated[int, Control, Add] = 0
    result: int | None = None


many = Workflow("many", state=Many, returns=("result",))
_BAD = 3
"""Numbers that are this modulo five fail for good."""


@many.step(writes=lambda s: s.numbers, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _count_up(number: int, step: StepContext) -> list[int]:
    await STAGE.outside.act(step, "IDEMPOTENT")
    return list(range(number, number + 1 + number % 9))


@many.step(writes=lambda s: (s.twice, s.count), effect=KEYED, timeout=TIMEOUT, retry=PATIENT)
async def _twice(one: int, step: StepContext) -> tuple[int, int]:
    await STAGE.outside.act(step, "KEYED")
    if one % 5 == _BAD:
        raise Fail("bad", "a bad number")
    return 2 * one, 1


@many.step(writes=lambda s: s.result, effect=IDEMPOTENT, timeout=TIMEOUT, retry=PATIENT)
async def _judge(
    number: int, numbers: list[int], doubled: list[int], failed: dict[str, StepErrorView], count: int, step: StepContext
) -> int:
    await STAGE.outside.act(step, "IDEMPOTENT")
    bad = [str(index) for index, one in enumerate(numbers) if one % 5 == _BAD]
    good = [2 * one for one in numbers if one % 5 != _BAD]
    return 2 * number if (doubled, list(failed), count) == (good, bad, len(good)) else -1


many.flow(
    _count_up,
    each("numbers", _twice, item="one", value="twice", collect="doubled", failed="failed", concurrency=3),
    _judge,
)

WORKFLOWS = (chain, fan, careful, hurried, bulky, winding)
