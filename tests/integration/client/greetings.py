"""A workflow for round trips."""

from logkeel.workflow import ONCE, NotDone, State, Workflow


class Greeting(State):
    name: str
    letter: str | None = None


greet = Workflow("greet", state=Greeting, returns="letter")


@greet.step(writes=lambda s: s.letter, timeout="5s")
def write(name: str) -> str:
    return f"Dear {name}"


greet.flow(write)

risky = Workflow("risky", state=Greeting, returns="letter")


@risky.step(writes=lambda s: s.letter, effect=ONCE, timeout="5s")
def send(name: str) -> str:
    if name == "nobody":
        raise NotDone("there is nobody of that name")
    raise RuntimeError("the line was cut")


risky.flow(send)
