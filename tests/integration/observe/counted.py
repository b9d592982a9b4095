"""A workflow whose step says what it has used."""

from logkeel.workflow import State, StepContext, Workflow


class Word(State):
    """One field in, one out."""

    word: str
    echo: str | None = None


counted = Workflow("counted", state=Word, returns="echo")


@counted.step(writes=lambda s: s.echo, timeout="10s")
def repeat(word: str, step: StepContext) -> str:
    step.used(tokens=len(word), input_tokens=3)
    return word


counted.flow(repeat)
