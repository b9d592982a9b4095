"""What runs behind TLS and ACLs: one step, which also emits."""

from logkeel.workflow import IDEMPOTENT, State, StepContext, Workflow


class Greeting(State):
    """A name goes in, a greeting comes out."""

    name: str
    text: str | None = None


greetings = Workflow("greetings", state=Greeting, returns=("text",))


@greetings.step(writes=lambda s: s.text, effect=IDEMPOTENT, timeout="10s")
async def greet(name: str, step: StepContext) -> str:
    """Greets, and says so on the way."""
    step.emit({"greeting": name})
    return f"hello {name}"


greetings.flow(greet)
