"""Judges a schedule against the undisturbed one: the outside is to look the same, and the run is to end the same. Pure.

A crash may show as a second execution, never as a second effect. What an effect's declaration allows decides who is to
blame, and what there is to do.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from logkeel.records import Effect
from logkeel.testing.crashes.outside import Happening
from logkeel.testing.crashes.report import Violation
from logkeel.testing.crashes.schedule import Played

ENGINE_REMEDY = "this is a fault of logkeel, not of your workflow: please report it with this line"


def violations(played: Played, calm: Played, effects: Mapping[str, Effect], *, same_end: bool) -> list[Violation]:
    """Everything that is wrong with a schedule. `effects`: the declared effect by step."""
    found = [Violation(played.struck, None, fault, ENGINE_REMEDY) for fault in played.faults]
    if found:
        return found
    found += _repeated(played, calm, effects)
    found += _blind(played, calm, effects)
    if same_end:
        found += _other_end(played, calm)
    if played.status == calm.status:
        found += _lost(played, calm)
    return found


def calm_violations(calm: Played, effects: Mapping[str, Effect]) -> Iterator[Violation]:
    """What is wrong already where nothing was disturbed: a step that says it has no effect, and has one."""
    for name, path in sorted({(each.step or "", each.path or "") for each in calm.outside.happenings}):
        if effects.get(name) == "NONE":
            what = f"{path} is declared NONE, and has an effect outside"
            yield Violation("nothing was disturbed", name, what, "declare effect=KEYED, CHECKED, ONCE or IDEMPOTENT")


def _repeated(played: Played, calm: Played, effects: Mapping[str, Effect]) -> Iterator[Violation]:
    was, now = _counted(calm), _counted(played)
    for (path, what), count in sorted(now.items()):
        before = was.get((path, what), 0)
        if count <= before or not before:
            continue
        mine = [each for each in played.outside.happenings if each.path == path and each.what == what]
        name = mine[0].step or ""
        told = f"{what!r} happened {_times(count)} for {path}, undisturbed {_times(before)}"
        calls = sum(1 for _ in played.outside.calls_of(path))
        yield Violation(played.struck, name, f"{told} ({calls} executions)", _remedy(effects[name], mine))


def _remedy(effect: Effect, mine: list[Happening]) -> str:
    keys = {each.key for each in mine}
    match effect:
        case "NONE" | "IDEMPOTENT":
            return (
                f"the step is declared {effect}, and its effect is not the same when it is repeated: declare"
                " effect=KEYED and send step.idempotency_key, or CHECKED with a check, or ONCE"
            )
        case "KEYED" if keys == {None}:
            return "the step is declared KEYED, and no key reached the outside: send step.idempotency_key with the call"
        case "KEYED" if len(keys) > 1:
            return "the key was another one each time: send step.idempotency_key, which is the same for all executions"
        case "KEYED":
            return "the outside takes one key twice: make the fake refuse it, or declare effect=CHECKED or ONCE"
        case "CHECKED":
            return "the check said that nothing had happened: let it ask the outside for this step's effect"
        case "ONCE":
            return "a human, or the step itself, did it again: say did where it has happened, raise NotDone where not"


def _blind(played: Played, calm: Played, effects: Mapping[str, Effect]) -> Iterator[Violation]:
    """A ONCE step is called again on a human's word, or after NotDone, only (P35)."""
    for path in sorted({call.path for call in played.outside.calls}):
        calls = list(played.outside.calls_of(path))
        excused = played.decisions.get(path, 0) + sum(call.raised == "NotDone" for call in calls)
        if effects.get(calls[0].step) == "ONCE" and len(calls) - 1 > excused:
            yield Violation(played.struck, calls[0].step, f"{path} was called {_times(len(calls))}", ENGINE_REMEDY)


def _other_end(played: Played, calm: Played) -> Iterator[Violation]:
    if played.status != calm.status:
        what = f"the run ended as {played.status}, undisturbed as {calm.status}"
        error = next((event.error for event in reversed(played.events) if event.error is not None), None)
        told = f": {error.message}" if error is not None else ""
        remedy = "look at time-outs and attempts that a restart uses up, or pass ends='any' if both ends are right"
        yield Violation(played.struck, None, what + told, remedy)
    elif played.result != calm.result:
        what = f"the run gave {played.result!r}, undisturbed {calm.result!r}"
        remedy = "let a step return the same for the same key or check, or pass ends='any' if both are right"
        yield Violation(played.struck, None, what, remedy)


def _lost(played: Played, calm: Played) -> Iterator[Violation]:
    now = _counted(played)
    steps = {each.path: each.step for each in calm.outside.happenings}
    for (path, what), count in sorted(_counted(calm).items()):
        if now.get((path, what), 0) < count:
            told = f"{what!r} happened {_times(now.get((path, what), 0))} for {path}, undisturbed {_times(count)}"
            remedy = "a check or a human said that it had happened, and it had not: let it ask the outside"
            yield Violation(played.struck, steps[path], told, remedy)


def _counted(played: Played) -> dict[tuple[str, str], int]:
    return Counter((each.path, each.what) for each in played.outside.happenings if each.path is not None)


def _times(count: int) -> str:
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")
