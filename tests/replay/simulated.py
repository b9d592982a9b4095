"""Histories of simulated worlds: runs whose workers and engines die, retried by who has seen to what they failed at."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.replay.telling import told
from tests.sim.case import play
from tests.sim.known import BY_NAME
from tests.sim.plan import Plan, RunPlan, Sending

from logkeel.cli.recordings import Recording
from logkeel.definitions import encode_document
from logkeel.testing.world import TimedStrike, World, WorldSettings
from logkeel.testing.world.judging import histories_of

TROUBLE = 0.5
"""Of the executions of steps and calls, so many are slow, fail, hang, or say that nothing was done."""


def simulated(seed: int, *runs: tuple[str, int]) -> dict[str, Recording]:
    """The histories of runs of these workflows, with their numbers, and of all below them, by run id.

    Two engines and two workers, of which one each is killed while they work.
    """
    plans = tuple(
        RunPlan(f"{name}-{at}", name, number, (Sending("start", 100.0),)) for at, (name, number) in enumerate(runs)
    )
    strikes = (TimedStrike("kill_worker", 900.0, 0, 300.0), TimedStrike("kill_engine", 1_400.0, 0, 300.0))
    plan = Plan(seed, WorldSettings(seed=seed), plans, strikes, TROUBLE, ())
    found: dict[str, Recording] = {}

    def look(world: World) -> None:
        for (run_id, _), events in histories_of(world).items():
            document = encode_document(BY_NAME[events[0].workflow].document())
            found[run_id] = Recording(document, tuple(told(event) for event in events))

    with TemporaryDirectory(prefix="logkeel-replay-") as directory:
        verdict = play(plan, Path(directory), look=look)
    assert not verdict.faults, verdict.faults
    return found


def caller() -> dict[str, Recording]:
    """Code whose calls keep to limits and budgets: they are tried again, in doubt, and a human is asked for more."""
    found = simulated(5, ("caller", 7), ("caller", 11), ("caller", 30))
    return {"": found["caller-0"], "asked": found["caller-2"]}


def testator() -> dict[str, Recording]:
    """A tree with one budget: of children of code and of blocks one finds too little left, and one is given up."""
    found = simulated(5, ("testator", 7))
    return {"": found["testator-0"], "heir": _child(found, "testator-0", "work/bequeath?0.0.0")}


def elder() -> dict[str, Recording]:
    """A run that was retried twice with the children of its code, and one of those."""
    found = simulated(3, ("elder", 31), ("elder", 4))
    return {"": found["elder-0"], "child": _child(found, "elder-0", "all/_send_out?0.1.0")}


def _child(found: dict[str, Recording], parent: str, path: str) -> Recording:
    known_by = ((each, each.events[0].parent) for each in found.values())
    return next(each for each, known in known_by if known is not None and (known.run_id, known.path) == (parent, path))
