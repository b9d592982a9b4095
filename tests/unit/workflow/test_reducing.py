"""`reduce`: groups of elements become one value each, level by level, in their order, whatever the number."""

from typing import Annotated, Any, Literal

import pytest

from logkeel.definitions import EachBlock, all_blocks
from logkeel.errors import DefinitionError, Fail, RunFailed
from logkeel.workflow import (
    Append,
    Put,
    Retry,
    State,
    Workflow,
    each,
    inline,
    leave,
    loop,
    parallel,
    reduce,
    rescue,
)
from logkeel.workflow.drawing import as_mermaid, as_text


class Pages(State):
    """Texts, and what they become."""

    count: int
    pages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    by_key: Annotated[dict[str, str], Put] = {}  # noqa: RUF012  # as above
    summary: str | None = None
    overview: str | None = None
    other: str | None = None
    length: int | None = None
    verdict: Literal["good", "poor"] | None = None


Sizes = list[int]


def pages(sizes: Sizes, *, fan_in: int = 3, broken: str | None = None, concurrency: int = 2) -> "Workflow[Pages]":
    """Finds `count` pages and reduces them; `sizes` gets those of the groups. A group with the word `broken` fails."""
    workflow = Workflow("pages", state=Pages, returns="overview")

    @workflow.step(writes=lambda s: s.pages)
    async def find(count: int) -> list[str]:
        return [str(number) for number in range(count)]

    @workflow.step(writes=lambda s: s.summary, retry=Retry(max_attempts=1))
    async def combine(group: list[str]) -> str:
        sizes.append(len(group))
        if broken is not None and broken in group:
            raise Fail("unreadable", f"{broken} cannot be read")
        return " ".join(group)

    workflow.flow(find, reduce("pages", combine, item="group", into="overview", fan_in=fan_in, concurrency=concurrency))
    return workflow


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 10, 28])
async def test_every_element_is_in_the_value_in_order_and_groups_are_even(count: int) -> None:
    sizes = Sizes()
    value = await pages(sizes).try_out(count=count)
    assert value == (" ".join(str(number) for number in range(count)) if count else None)
    assert all(1 < size <= 3 for size in sizes)
    # Each group takes all but one of its elements away.
    assert sum(size - 1 for size in sizes) == max(0, count - 1)


async def test_a_wide_fan_in_is_one_group() -> None:
    sizes = Sizes()
    await pages(sizes, fan_in=1_000).try_out(count=150)
    assert sizes == [150]


async def test_a_group_that_fails_fails_the_block_and_can_be_rescued() -> None:
    with pytest.raises(RunFailed, match="1 of 4 elements of pages have failed; the last one: 7 cannot be read"):
        await pages(Sizes(), broken="7").try_out(count=10)
    workflow = Workflow("pages", state=Pages, returns=("overview", "other"))

    @workflow.step(writes=lambda s: s.pages)
    async def find(count: int) -> list[str]:
        return [str(number) for number in range(count)]

    @workflow.step(writes=lambda s: s.summary, retry=Retry(max_attempts=1))
    async def combine(group: list[str]) -> str:
        raise Fail("unreadable", "no")

    @workflow.step(writes=lambda s: s.other)
    async def say_so() -> str:
        return "no overview"

    workflow.flow(find, rescue(reduce("pages", combine, item="group", into="overview"), on={"*": say_so}))
    assert await workflow.try_out(count=30) == {"overview": None, "other": "no overview"}


async def test_what_each_has_collected_is_reduced_in_a_branch_of_rounds_by_a_workflow_of_its_own() -> None:
    """Nested: the levels have scopes of their own, which go with their block."""
    inner = Workflow("inner", state=Pages, returns="overview")

    @inner.step(writes=lambda s: s.pages)
    async def spread(count: int) -> list[str]:
        return ["x"] * count

    @inner.step(writes=lambda s: s.summary)
    async def shout(page: str) -> str:
        return page.upper()

    @inner.step(writes=lambda s: s.other)
    async def combine(group: list[str]) -> str:
        return "".join(group)

    inner.flow(
        spread,
        each("pages", shout, item="page", collect="by_key", value="summary"),
        reduce("by_key", combine, item="group", into="overview", fan_in=2),
    )
    outer = Workflow("outer", state=Pages, returns=("overview", "other"))

    @outer.step(writes=lambda s: (s.verdict, s.other))
    async def judge(overview: str | None, other: str | None) -> tuple[Literal["good", "poor"], str]:
        rounds = (other or "") + "r"
        return ("good" if len(rounds) == 3 else "poor"), rounds

    @outer.step(writes=lambda s: s.length)
    async def beside(count: int) -> int:
        return count

    outer.flow(
        loop(
            parallel(inline(inner, inputs={"count": "count"}, writes="overview"), beside, name="both"),
            judge,
            leave("verdict", "good"),
            max_rounds=4,
        )
    )
    assert await outer.try_out(count=9) == {"overview": "X" * 9, "other": "rrr"}


def test_the_definition_says_it_and_it_can_be_drawn() -> None:
    document = pages(Sizes()).document()
    (block,) = [block for block in all_blocks(document.flow) if isinstance(block, EachBlock)]
    assert (block.fan_in, block.into, block.max_failures) == (3, "overview", 0)
    for drawn in (as_text(document), as_mermaid(document)):
        assert "pages to one overview, at most 3 at a time, level by level" in drawn


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"into": "overview"}, "does not say how a group is called"),
        ({"item": "group"}, "does not say where the value goes"),
        ({"item": "group", "into": "overviw"}, "no field of the state"),
        ({"item": "group", "into": "verdict"}, "takes no value as it is"),
        ({"item": "group", "into": "pages"}, "takes no value as it is"),
        ({"item": "group", "into": "length"}, "are str, and 'length' is int"),
        ({"item": "group", "into": "overview", "fan_in": 1}, "fan_in=1 of reduce"),
        ({"item": "group", "into": "overview", "fan_in": True}, "fan_in=True of reduce"),
        ({"item": "group", "into": "overview", "collect": "by_key"}, "knows no collect"),
        ({"item": "group", "into": "overview", "value": "other"}, "does not write 'other'"),
    ],
)
def test_mistakes_are_told_with_place_and_remedy(how: dict[str, Any], told: str) -> None:
    workflow = Workflow("pages", state=Pages)

    @workflow.step(writes=lambda s: s.summary)
    async def combine(group: list[str]) -> str:
        return " ".join(group)

    with pytest.raises(DefinitionError) as caught:
        workflow.flow(reduce("pages", combine, **how))
    assert told in caught.value.message
    assert all(problem[part] for problem in caught.value.problems for part in ("what", "place", "remedy"))


def test_a_parameter_that_is_no_list_is_told() -> None:
    workflow = Workflow("pages", state=Pages)

    @workflow.step(writes=lambda s: s.summary)
    async def combine(group: str) -> str:
        return group

    with pytest.raises(DefinitionError, match="reads 'group' as str, but the field is list"):
        workflow.flow(reduce("pages", combine, item="group", into="overview"))
