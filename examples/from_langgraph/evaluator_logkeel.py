"""An evaluator that sends a draft back until it is good: a loop that has a limit."""

from typing import Literal

from logkeel.workflow import State, Workflow, leave, loop


class Draft(State):
    topic: str
    draft: str | None = None
    feedback: str | None = None
    grade: Literal["good", "poor"] | None = None


optimizer = Workflow("optimizer", state=Draft, returns="draft")


@optimizer.step(writes=lambda s: s.draft)
def generate(topic: str, draft: str | None, feedback: str | None) -> str:
    return f"{draft}, {feedback}" if feedback else f"on {topic}"


@optimizer.step(writes=lambda s: (s.grade, s.feedback))
def evaluate(draft: str) -> tuple[Literal["good", "poor"], str]:
    return "good" if draft.count(",") >= 2 else "poor", "more"


optimizer.flow(loop(generate, evaluate, leave("grade", "good"), max_rounds=5))
