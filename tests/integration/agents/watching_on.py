"""Durable code of many lives: each writes what it has found, and hands on to the next."""

from logkeel.workflow import StepContext, durable

LIVES = 6


def found_in(life: int) -> str:
    """One call of each life."""
    return f"found in {life}"


@durable(restarts=True, updates={"lives": int})
async def watch(step: StepContext, life: int = 0, found: list[str] | None = None) -> list[str]:
    """A call, an update and a wait in each life."""
    so_far = [*(found or ()), await step.run("look", found_in, life)]
    await step.update(lives=life + 1)
    await step.sleep("300ms")
    if life + 1 < LIVES:
        await step.restart_with(life=life + 1, found=so_far)
    return so_far
