"""What is measured: three no-op steps (W1), a chain of thirty (W2), and ten bytes written beside a megabyte."""

from collections.abc import Callable, Coroutine

from logkeel.workflow import IDEMPOTENT, RetryAfter, State, Workflow


class Numbers(State):
    """One number goes through."""

    number: int
    first: int | None = None
    second: int | None = None
    third: int | None = None


noop = Workflow("noop", state=Numbers, returns="third")


@noop.step(writes=lambda s: s.first, effect=IDEMPOTENT, timeout="10s")
async def one(number: int) -> int:
    """Hands on."""
    return number


@noop.step(writes=lambda s: s.second, effect=IDEMPOTENT, timeout="10s")
async def two(first: int) -> int:
    """Hands on."""
    return first


@noop.step(writes=lambda s: s.third, effect=IDEMPOTENT, timeout="10s")
async def three(second: int) -> int:
    """Hands on."""
    return second


noop.flow(one, two, three)

CHAIN_STEPS = 30


class Link(State):
    """One number goes through thirty steps."""

    number: int


def _chain() -> "Workflow[Link]":
    workflow = Workflow("chain", state=Link, returns="number")

    async def hand_on(number: int) -> int:
        return number

    names = (f"link_{position:02}" for position in range(CHAIN_STEPS))
    declare = (workflow.step(writes=lambda s: s.number, effect=IDEMPOTENT, timeout="10s", name=name) for name in names)
    workflow.flow(*(step(hand_on) for step in declare))
    return workflow


chain = _chain()

QUARTER = 250_000


class Big(State):
    """A megabyte, and ten bytes."""

    a: str | None = None
    b: str | None = None
    c: str | None = None
    d: str | None = None
    note: str | None = None


def _big(name: str, *, with_note: bool) -> "Workflow[Big]":
    workflow = Workflow(name, state=Big)

    def filler(letter: str) -> Callable[[], Coroutine[None, None, str]]:
        async def fill() -> str:
            return letter * QUARTER

        return fill

    steps = [
        workflow.step(writes=lambda s: s.a, name="fill_a")(filler("a")),
        workflow.step(writes=lambda s: s.b, name="fill_b")(filler("b")),
        workflow.step(writes=lambda s: s.c, name="fill_c")(filler("c")),
        workflow.step(writes=lambda s: s.d, name="fill_d")(filler("d")),
    ]
    if with_note:

        @workflow.step(writes=lambda s: s.note)
        async def note() -> str:
            return "ten bytes."

        steps.append(note)
    workflow.flow(*steps)
    return workflow


big = _big("big", with_note=False)
big_and_note = _big("big-and-note", with_note=True)

patient = Workflow("patient", state=Numbers, returns="first")


@patient.step(writes=lambda s: s.first, effect=IDEMPOTENT, timeout="10s")
async def wait(number: int) -> int:
    """Asks to be tried again in a month: the run waits."""
    raise RetryAfter("30d", f"{number} has to wait")


patient.flow(wait)
