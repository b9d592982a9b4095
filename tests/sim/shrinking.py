"""Makes a failing seed smaller: strikes and runs are left out one after the other, as long as it still fails."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.sim.case import play
from tests.sim.plan import Plan, plan_of


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What is left of a seed, and what is wrong with it."""

    command: str
    faults: tuple[str, ...]


def shrink(seed: int) -> Shrunk:
    """The smallest found. Numbers are those of the whole plan."""
    plan = plan_of(seed)
    strikes: set[int] = set()
    runs: set[int] = set()
    faults = _faults(plan)
    for number in range(len(plan.strikes)):
        found = _faults(plan.without(strikes=frozenset({*strikes, number}), runs=frozenset(runs)))
        if found:
            strikes.add(number)
            faults = found
    for number in range(len(plan.runs)):
        if len(runs) + 1 == len(plan.runs):
            break
        found = _faults(plan.without(strikes=frozenset(strikes), runs=frozenset({*runs, number})))
        if found:
            runs.add(number)
            faults = found
    return Shrunk(_command(seed, strikes, runs), tuple(faults))


def _faults(plan: Plan) -> list[str]:
    with TemporaryDirectory(prefix="logkeel-sim-") as directory:
        return play(plan, Path(directory)).faults


def _command(seed: int, strikes: set[int], runs: set[int]) -> str:
    arguments = [f"--seed {seed}"]
    if strikes:
        arguments.append(f"--without-strikes {','.join(map(str, sorted(strikes)))}")
    if runs:
        arguments.append(f"--without-runs {','.join(map(str, sorted(runs)))}")
    return f'make sim ARGS="{" ".join(arguments)} --log"'
