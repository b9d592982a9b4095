"""What durable code emits, and that it does not emit again where its journal goes further."""

import asyncio

import pytest
from tests.unit.journals.stage import Stage

from logkeel.workflow import StepContext, current_step, durable


async def square(number: int) -> int:
    """A call that tells of itself."""
    current_step().emit(f"squaring {number}")
    return number * number


def plain(number: int) -> int:
    """The same in a plain function."""
    current_step().emit(f"adding to {number}")
    return number + 1


@durable
async def counting(step: StepContext, until: int) -> int:
    """Calls one after the other, a wait, and a word between them."""
    total = 0
    for number in range(until):
        step.emit(f"before {number}")
        total += await step.run("square", square, number)
    step.emit("before the sleep")
    await step.sleep("1h")
    step.emit("after the sleep")
    total = await step.run("plain", plain, total)
    step.emit("the end")
    return total


def words(stage: Stage, dispatch: int) -> list[str]:
    return [value.decode().strip('"') for number, value in stage.emitted if number == dispatch]


def test_one_execution_emits_in_order_from_code_and_calls() -> None:
    stage = Stage(counting, until=2)
    stage.execute()
    assert words(stage, 1) == ["before 0", "squaring 0", "before 1", "squaring 1", "before the sleep"]


def test_what_an_execution_has_passed_is_not_emitted_by_the_next_one() -> None:
    stage = Stage(counting, until=2)
    stage.execute()
    stage.clock.advance(3_700_000)
    assert stage.result() == 2
    assert words(stage, 2) == ["after the sleep", "adding to 1", "the end"]


@pytest.mark.parametrize("kept", range(3))
def test_after_a_crash_everything_behind_the_last_kept_entry_is_emitted_again(kept: int) -> None:
    stage = Stage(counting, until=2)
    assert stage.execute(lose_after=kept) is None
    stage.execute()
    whole = ["before 0", "squaring 0", "before 1", "squaring 1", "before the sleep"]
    assert words(stage, 2) == whole[2 * kept :]


@durable
async def side_by_side(step: StepContext, until: int) -> int:
    """Branches of a gather, and something behind it."""

    async def branch(number: int) -> int:
        step.emit(f"branch {number} begins")
        found = await step.run("square", square, number)
        step.emit(f"branch {number} ends")
        return found

    found = await step.gather(*(branch(number) for number in range(until)))
    await step.sleep("1h")
    return sum(found)


def test_the_end_of_a_branch_is_not_emitted_again_once_its_gather_is_over() -> None:
    stage = Stage(side_by_side, until=2)
    stage.execute()
    assert sorted(words(stage, 1)) == sorted(
        [f"branch {n} {what}" for n in range(2) for what in ("begins", "ends")] + ["squaring 0", "squaring 1"]
    )
    stage.clock.advance(3_700_000)
    assert stage.result() == 1
    assert words(stage, 2) == []


def test_a_branch_that_was_not_over_ends_again() -> None:
    stage = Stage(side_by_side, until=2)
    assert stage.execute(lose_after=1) is None
    stage.execute()
    done = next(iter(stage.entries)).split(".")[1]
    said = words(stage, 2)
    assert f"branch {done} begins" not in said
    assert f"branch {done} ends" in said
    assert {f"branch {1 - int(done)} begins", f"branch {1 - int(done)} ends"} <= set(said)


@durable
async def with_own_tasks(step: StepContext, until: int) -> int:
    """Tasks that the code starts by itself."""

    async def one(number: int) -> int:
        step.emit(f"one {number}")
        return await step.run("square", square, number)

    found = await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(until)))
    await step.sleep("1h")
    return sum(found)


def test_tasks_of_the_codes_own_are_lanes_too() -> None:
    stage = Stage(with_own_tasks, until=2)
    stage.execute()
    assert "one 0" in words(stage, 1)
    stage.clock.advance(3_700_000)
    assert stage.result() == 1
    assert words(stage, 2) == []
