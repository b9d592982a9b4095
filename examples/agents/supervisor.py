"""A supervisor hands work to agents that keep their memory to themselves, until it has what it wants.

In memory: `await team.try_out(goal="a note on kafka")`. For real: logkeel dev supervisor.py
"""

from typing import Literal

from logkeel.workflow import State, Workflow, branch, inline, leave, loop

Name = Literal["researcher", "writer"]


class Agent(State):
    """What one agent knows while it works; nobody else sees it, and it is gone when it is done."""

    goal: str
    so_far: str = ""
    notes: list[str] = []
    answer: str | None = None


def agent(name: str) -> Workflow[Agent]:
    """An agent of two steps: it thinks, then it answers."""
    made = Workflow(name, state=Agent, returns="answer")

    @made.step(writes=lambda s: s.notes)
    async def think(goal: str, so_far: str) -> list[str]:
        return [f"{name} looks at {goal!r}", f"and at {so_far!r}"]

    @made.step(writes=lambda s: s.answer)
    async def answer(so_far: str, notes: list[str]) -> str:
        return f"{so_far} {name} ({len(notes)} notes)".strip()

    made.flow(think, answer)
    return made


class Team(State):
    goal: str
    so_far: str = ""
    next: Name = "researcher"
    done: bool = False


team = Workflow("team", state=Team, returns="so_far")


@team.step(writes=lambda s: (s.next, s.done))
async def supervise(so_far: str) -> tuple[Name, bool]:
    return ("writer" if so_far.count("researcher") == 2 else "researcher"), "writer" in so_far


memory = {"goal": "goal", "so_far": "so_far"}
team.flow(
    loop(
        supervise,
        leave("done", True),
        branch(
            "next",
            researcher=inline(agent("researcher"), inputs=memory, writes="so_far"),
            writer=inline(agent("writer"), inputs=memory, writes="so_far"),
        ),
        max_rounds=10,
    )
)
