"""Mistakes in steps that yield; which join the others."""

from collections.abc import AsyncIterator, Iterator

from tests.unit.workflow.mistakes import Drafts, mistake
from tests.unit.workflow.saga_mistakes import MISTAKES

__all__ = ["MISTAKES"]


@mistake
def elements_that_go_into_no_list(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes)  # type: ignore[arg-type]  # the mistake
    async def find(topic: str) -> AsyncIterator[str]:
        yield topic


@mistake
def elements_from_a_plain_generator(d: Drafts) -> None:
    @d.workflow.step(writes=lambda s: s.notes)  # type: ignore[arg-type]  # the mistake
    def find(topic: str) -> Iterator[str]:
        yield topic
