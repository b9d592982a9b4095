"""Prompt chaining with a gate: the same as a flow."""

from examples.from_langgraph.model import ask

from logkeel.workflow import State, Workflow, branch


class Joke(State):
    topic: str
    joke: str | None = None
    good: bool = False
    improved: str | None = None
    final: str | None = None


chain = Workflow("chain", state=Joke, returns=("joke", "improved", "final"))


@chain.step(writes=lambda s: (s.joke, s.good))
def generate(topic: str) -> tuple[str, bool]:
    joke = ask(f"joke about {topic}")
    return joke, "!" in joke


@chain.step(writes=lambda s: s.improved)
def improve(joke: str) -> str:
    return ask(f"improve {joke}")


@chain.step(writes=lambda s: s.final)
def polish(improved: str) -> str:
    return ask(f"polish {improved}")


chain.flow(generate, branch("good", {False: (improve, polish)}, otherwise=()))
