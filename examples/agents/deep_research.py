"""Research that splits a question and gives each part to another run of itself, as deep as it may go.

In memory: `await research.try_out(question="why do logs win")`. For real: logkeel dev deep_research.py
"""

from typing import Annotated

from logkeel.workflow import Append, State, Workflow, child, each, rescue


class Research(State):
    question: str
    parts: Annotated[list[str], Append] = []
    found: str | None = None
    findings: Annotated[list[str], Append] = []
    answer: str | None = None


research = Workflow("deep_research", state=Research, returns="answer", max_depth=2, max_descendants=20)


@research.step(writes=lambda s: s.parts)
async def split(question: str) -> list[str]:
    """A model would do this better."""
    return [f"{question}: what?", f"{question}: so what?"]


@research.step(writes=lambda s: s.found)
async def look_up(part: str) -> str:
    """The way out of the recursion: as deep as runs may be, a part is looked up and not split."""
    return f"a source on {part}"


@research.step(writes=lambda s: s.answer)
async def write(question: str, findings: list[str]) -> str:
    return f"{question} [{'; '.join(findings)}]"


part = rescue(
    child(research, inputs={"question": "part"}, writes="found"),
    on={"child_too_deep": look_up, "too_many_descendants": look_up},
)
research.flow(
    split,
    each("parts", part, item="part", value="found", collect="findings", concurrency=3),
    write,
)
