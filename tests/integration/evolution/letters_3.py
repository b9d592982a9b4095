"""Version 3: an input that callers do not know, a result less, and the place of the wait is gone."""

from logkeel.workflow import State, Workflow


class Letter(State):
    """One recipient."""

    schema_version: int = 1
    name: str
    postcode: str
    text: str | None = None


letters = Workflow("letters", state=Letter, version="3")


@letters.step(writes=lambda s: s.text)
async def write(name: str, postcode: str) -> str:
    return f"Dear {name}, {postcode}"


letters.flow(write)
