"""Map and reduce: `each` runs a body for every element, so many at a time, with the results in their order."""

from typing import Annotated

from examples.from_langgraph.model import ask

from logkeel.workflow import Append, State, Workflow, each


class Jokes(State):
    topic: str
    subjects: Annotated[list[str], Append] = []
    joke: str | None = None
    jokes: Annotated[list[str], Append] = []
    best: str | None = None


jokes = Workflow("jokes", state=Jokes, returns=("jokes", "best"))


@jokes.step(writes=lambda s: s.subjects)
def plan(topic: str) -> list[str]:
    return [f"{topic} {number}" for number in (1, 2, 3)]


@jokes.step(writes=lambda s: s.joke)
def tell(subject: str) -> str:
    return ask(f"joke about {subject}")


@jokes.step(writes=lambda s: s.best)
def choose(jokes: list[str]) -> str:
    return max(jokes)


jokes.flow(plan, each("subjects", tell, item="subject", value="joke", collect="jokes", concurrency=10), choose)
