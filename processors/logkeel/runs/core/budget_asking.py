"""How what needs a budget of its run waits for it, and a human is asked whether there is to be more (0031). Pure."""

from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budgets import Lack, question_path

ALLOWED = ("approve", "reject")
"""Answers to the question whether there is to be more."""


def ask_for_more(turn: Activation, path: str, lack: Lack) -> None:
    """Ask a human whether there is to be more, if that is to be asked and is not yet."""
    unit = lack.budget.unit
    if not lack.asks or question_path(unit) in turn.state.waits:
        return
    text = f"{path} may use {lack.asked} {unit}, and of {lack.limit} {lack.left} are left. Is there to be more?"
    turn.record("question_asked", path=question_path(unit), reason=text, attributes={"allow": ",".join(ALLOWED)})


def wait(turn: Activation, path: str, name: str, lack: Lack) -> None:
    """It waits until others have settled what they had reserved, or a human has given more. `name`: of what waits."""
    ask_for_more(turn, path, lack)
    if path in turn.state.held:
        return
    facts = {"kind": "run_budget", "limit": lack.budget.unit, "key": "", "allows": str(lack.limit)}
    turn.record("step_held", path=path, step=name, name=lack.budget.unit, reason="budget", attributes=facts)
