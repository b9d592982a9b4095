"""A flow with a block of every kind, one in the other, for pictures."""

from typing import Annotated, Literal

from logkeel.workflow import (
    KEYED,
    NONE,
    Append,
    Put,
    State,
    StepErrorView,
    Workflow,
    branch,
    child,
    each,
    human,
    inline,
    leave,
    loop,
    parallel,
    rescue,
    saga,
    sleep,
    wait_signal,
    within,
)


class Order(State):
    name: str
    lines: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    price: float | None = None
    prices: Annotated[dict[str, float], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    failed: Annotated[dict[str, StepErrorView], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    letter: str | None = None
    summary: str | None = None
    paid: bool = False
    decision: Literal["approve", "reject", "respond"] | None = None


class Inner(State):
    name: str
    summary: str | None = None


summing = Workflow("summing", state=Inner, returns="summary")


@summing.step(writes=lambda s: s.summary)
def sum_up(name: str) -> str:
    return name


summing.flow(sum_up)

order = Workflow("order", state=Order, returns="summary")


@order.step(writes=lambda s: s.price)
def price_of(line: str) -> float:
    return len(line)


@order.step(writes=lambda s: s.paid)
def look() -> bool:
    return True


@order.step(effect=NONE)
def give_up() -> None: ...


@order.step(effect=KEYED)
def reserve(name: str) -> None: ...


@reserve.undo
def release(name: str) -> None: ...


order.flow(
    each("lines", price_of, item="line", collect="prices", failed="failed", concurrency=8),
    parallel((sleep("1d12h"), look), wait_signal("hint", timeout="90s", on_timeout="continue"), wait="first"),
    parallel(sleep("250ms"), sleep("1s"), give_up, wait=2, name="quorum"),
    within("10m", rescue(look, on={"timeout": give_up, "*": ()}), on_timeout=(give_up, sleep("1h"))),
    within("1h", wait_signal("paid", writes="letter"), name="patience"),
    loop(
        look,
        branch("paid", true=leave("paid", True), false=()),
        loop(look, leave("paid", True), max_rounds=2, name="inner"),
        max_rounds=5,
    ),
    saga(reserve, within("5m", wait_signal("packed"))),
    human(
        "agree",
        question='Say "yes"',
        writes="decision",
        allow=("approve", "reject", "respond"),
        answer="letter",
        assignee="ada",
        timeout="48h",
        on_timeout="escalate",
        escalate_to="bob",
        then="reject",
    ),
    branch("decision", approve=(inline(summing), child(summing, writes="letter", name="print")), otherwise=()),
)
