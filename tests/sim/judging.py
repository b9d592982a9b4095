"""The judge of a simulation: effects against their contracts, outcomes, and rules that only the workload shows."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.sim.budgets import faults_of_budgets
from tests.sim.deadlines import faults_of_deadlines
from tests.sim.driver import GARBAGE, NO_GARBAGE, topic_of_garbage
from tests.sim.families import faults_of_families, unborn
from tests.sim.forks import faults_of_forks, own_of
from tests.sim.heirs import faults_of_heirs
from tests.sim.journals import faults_of_journals, faults_of_late_entries
from tests.sim.limits import faults_of_limits
from tests.sim.losses import faults_of_losses, was_beside_a_killer
from tests.sim.outside import JOURNAL, Line, Outside
from tests.sim.patches import faults_of_patches
from tests.sim.plan import Plan, RunPlan
from tests.sim.retries import faults_of_retries
from tests.sim.sagas import faults_of_sagas
from tests.sim.schedules import faults_of_schedules, was_refused_by_right
from tests.sim.starts import faults_of_starts
from tests.sim.uses import faults_of_calls
from tests.sim.versions import rolled
from tests.sim.within import faults_of_time_limits

from logkeel.log import Record, TopicPartition
from logkeel.records import (
    ChildCompleted,
    LimitAnswered,
    RunCompleted,
    RunEvent,
    StepAnswer,
    StepHeartbeat,
    StepRevoked,
    StepSucceeded,
)
from logkeel.runs.core.budgets import is_budget_question
from logkeel.testing.world import World, general_faults
from logkeel.testing.world.judging import completions_of, histories_of
from logkeel.testing.world.reading import read_as

Histories = Mapping[tuple[str, str], list[RunEvent]]
Answers = list[tuple[Record, StepAnswer]]
NOT_NOW = ("run_paused", "run_not_paused", "turn_was_followed", "run_not_ended")
MAY_BE_REJECTED = (
    "run_finished",
    "step_not_in_doubt",
    "run_not_found",
    "question_not_open",
    "cancelled",
    *NOT_NOW,
)
HEARD_MS = 8_000
"""Until a member has heard of a rebalance: it asks every 3 s, and a call of another process that takes long, or of its
own, passes for all of them."""

MAY_FAIL = {
    "bulky": ("record_too_large", ""),
    "heavy": ("command_too_large", ""),
    "laden": ("result_too_large", ""),
    "spender": ("budget_exhausted", ""),
    "sharer": ("budget_exhausted", ""),
    "chat": ("closed", ""),
    "timely": ("not_started_in_time", ""),
    "winding": ("timeout", "within did not end within "),
}
"""Code and beginning of the message of a failure, by workflow."""

MUST_FAIL = ("bulky", "heavy", "laden")
WITHOUT_EFFECT = (
    "double",
    "fill_left",
    "fill_right",
    "join",
    "weigh",
    "reason",
    "call_out",
    "bequeath",
    "delegate",
    "_look",
    "_peek",
    "_ponder",
    "_send_out",
    "_muse",
    "_soon",
)
UNREAD_MS = 3_000
"""What came so shortly before a decision may not have been read."""


def faults_of(world: World, outside: Outside, plan: Plan) -> list[str]:
    """Everything that is wrong."""
    whole, answers = histories_of(world), _answers(world)
    histories = own_of(whole)
    found = general_faults(world)
    results = {run.run_id: str(2 * run.number).encode() for run in plan.runs}
    found += faults_of_forks(world, whole, outside.lines, results)
    found += _faults_of_effects(outside.lines)
    found += _faults_of_outcomes(world, plan, histories, outside)
    found += _lost_effects(histories, outside.lines)
    found += faults_of_journals(histories, outside.lines)
    found += faults_of_late_entries(histories, answers)
    found += _faults_of_signals(plan, histories)
    found += faults_of_families(world, histories)
    found += faults_of_sagas(histories, outside.lines)
    found += faults_of_limits(world, histories)
    found += faults_of_retries(histories)
    found += faults_of_patches(world, histories)
    found += faults_of_schedules(world, plan.schedules, histories)
    found += faults_of_budgets(world, histories)
    found += faults_of_calls(histories, outside.lines)
    found += faults_of_heirs(histories)
    found += faults_of_deadlines(world, histories, outside.lines)
    found += _faults_of_results(histories, answers)
    found += _faults_of_revocations(world, outside.lines)
    found += faults_of_starts(world, outside.lines, answers)
    found += _faults_of_dead_letters(world, plan)
    if not world.clock_jumps:
        found += faults_of_losses(world, histories, answers)
        found += faults_of_time_limits(world, histories, answers, outside.lines)
        found += _faults_of_heartbeats(world, answers)
    found += faults_of_ends(world)
    return found


def faults_of_ends(world: World) -> list[str]:
    """No process ends by itself without a reason that was planted."""
    planted = {
        "outage": ("log_timeout", "log_unavailable"),
        "cut_off_engine": ("log_timeout", "log_unavailable"),
        "cut_off_worker": ("log_timeout", "log_unavailable"),
        "disk_full": ("store_unavailable",),
        "disk_damaged": ("store_corrupt",),
        "membership_reset": ("invariant_violation",),
    }
    excused = {code for strike, codes in planted.items() if strike in world.struck for code in codes}
    return [f"{name} ended: {error!r}" for name, error in world.ends if getattr(error, "code", "") not in excused]


def _answers(world: World) -> Answers:
    found: Answers = []
    kinds = StepAnswer.__args__
    for record in world.records(world.names.step_results):
        if record.key != GARBAGE:
            message = read_as(record.value or b"", *kinds, ChildCompleted, LimitAnswered)
            if not isinstance(message, ChildCompleted | LimitAnswered):
                found.append((record, message))
    return found


def _faults_of_effects(lines: Iterable[Line]) -> Iterator[str]:
    """One key per step and one step per key (P30); CHECKED and ONCE happen once, but for P39's window."""
    keys: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    places: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    effects: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.effect == JOURNAL:
            continue  # one that begins anew has another key
        place = (line.run_id, line.incarnation, line.path)
        keys[place].add(line.key)
        places[line.key].add(place)
        if line.what == "effect":
            effects[place].append(line)
    yield from (f"P30: {place} has {len(several)} keys" for place, several in keys.items() if len(several) > 1)
    yield from (f"P30: steps {sorted(several)} share a key" for several in places.values() if len(several) > 1)
    for place, happened in effects.items():
        in_window = any(line.stalls != line.began_stalls for line in happened)
        if happened[0].effect in ("CHECKED", "ONCE") and len(happened) > 1 and not in_window:
            yield f"{place}: {happened[0].effect} happened {len(happened)} times"


def _lost_effects(histories: Histories, lines: Iterable[Line]) -> Iterator[str]:
    """What is said to be done was done."""
    happened = {(line.run_id, line.incarnation, line.path) for line in lines if line.what == "effect"}
    for (run_id, incarnation), events in histories.items():
        for event in events:
            has_effect = event.step not in WITHOUT_EFFECT
            place = (run_id, incarnation, event.path or "")
            if event.kind == "step_succeeded" and has_effect and place not in happened:
                yield f"{place}: is done, and its effect never happened"


def _faults_of_outcomes(world: World, plan: Plan, histories: Histories, outside: Outside) -> Iterator[str]:
    """Every run that was asked for was accepted and ended as it may."""
    completions, rejections = completions_of(world)
    by_run = {each.run_id: each for each in completions if not each.reannounced}
    accepted = {run_id for run_id, _ in histories}
    cancelled = {each.run_id for each in rejections if each.code == "cancelled"}
    for run in plan.runs:
        if run.run_id not in accepted and run.run_id not in cancelled:
            yield f"{run.run_id}: was lost"
            continue
        completion = by_run.get(run.run_id)
        if completion is not None and not was_beside_a_killer(completion, histories, outside.killed_by_steps):
            yield from _faults_of_completion(run, completion)
    for rejected in rejections:
        is_unborn = rejected.code == "unknown_workflow" and (rejected.run_id or "").startswith(f"{unborn.name}-")
        if rejected.code not in MAY_BE_REJECTED and not is_unborn and not was_refused_by_right(rejected):
            yield f"{rejected.request_id}: was rejected as {rejected.code}: {rejected.reason}"


def _faults_of_completion(run: RunPlan, completion: RunCompleted) -> Iterator[str]:
    told = f"{run.run_id} ({run.workflow}) ended as {completion.status}"
    values = [value.payload.data for value in completion.result if value.payload is not None]
    was_cancelled = any(sending.kind == "cancel" for sending in run.sendings)
    if completion.workflow != run.workflow:
        yield f"P38: {told}, as {completion.workflow}: one version means two workflows"
    if completion.workflow == rolled.name and completion.version != rolled.version:
        yield f"P38: {told} in version {completion.version}, and {rolled.version} was published last"
    match completion.status:
        case "succeeded":
            if run.workflow in MUST_FAIL or values != [str(2 * run.number).encode()]:
                yield f"{told} with {values}"
        case "cancelled":
            if not was_cancelled:
                yield f"{told}, and nobody asked for it"
        case "timed_out":
            if run.workflow != "hurried":
                yield told
        case "failed":
            # Whether a limit of a block was over by right, `faults_of_time_limits` says.
            code, beginning = MAY_FAIL.get(run.workflow, ("", ""))
            error = completion.error
            if error is None or error.code != code or not error.message.startswith(beginning):
                yield f"{told}: {completion.error}"
        case _:
            yield told


def _faults_of_signals(plan: Plan, histories: Histories) -> Iterator[str]:
    """A request that arrives twice happens once (P26)."""
    for (run_id, _), events in histories.items():
        answered = [event.path for event in events if event.kind in ("question_answered", "wait_ended")]
        answered = [
            path for path in answered if not is_budget_question(path or "")
        ]  # asked again, when that is used up
        if len(answered) != len(set(answered)):
            yield f"{run_id}: a wait is over more than once: {answered}"
        for kind in ("signal_received", "cancel_requested", "step_resolved", "question_answered"):
            ids = [event.request_id for event in events if event.kind == kind and event.request_id is not None]
            if len(ids) != len(set(ids)):
                yield f"P26: {run_id}: {kind} more than once for one request: {ids}"


def _faults_of_results(histories: Histories, answers: Answers) -> Iterator[str]:
    """A step is done by a result of its newest dispatch, or by a human (P33)."""
    told = {
        (each.identity.run_id, each.identity.incarnation, each.identity.path, each.identity.dispatch, each.holder)
        for _, each in answers
        if isinstance(each, StepSucceeded)
    }
    for (run_id, incarnation), events in histories.items():
        for event in events:
            if event.kind != "step_succeeded" or event.reason == "decided by a human":
                continue
            if (run_id, incarnation, event.path, event.dispatch, event.holder) not in told:
                yield f"P33: {run_id} {event.path}#{event.dispatch} is done, and {event.holder} never said so of it"


def _faults_of_revocations(world: World, lines: Iterable[Line]) -> Iterator[str]:
    """A process starts nothing that was revoked before it began to live (P36)."""
    began = {(event.process, event.detail): event.ms for event in world.trace.events if event.event == "STARTS"}
    zero_ms = world.cluster.clock.now_ms() - world.elapsed_ms
    revoked: dict[tuple[str, str, str], list[tuple[float, int]]] = defaultdict(list)
    control = TopicPartition(world.names.step_control, 0)
    readable_ms = world.archive.readable_ms(control)
    for record in world.archive.of(control):
        message = read_as(record.value or b"", StepRevoked)
        place = (message.run_id, message.incarnation, message.path)
        revoked[place].append((readable_ms[record.offset] - zero_ms, message.dispatch))
    for line in lines:
        if line.what != "begin":
            continue
        life_ms = began.get((line.process, f"life {line.life}"), 0.0)
        for at_ms, dispatch in revoked.get((line.run_id, line.incarnation, line.path), ()):
            if dispatch >= line.dispatch and at_ms + UNREAD_MS < life_ms:
                yield f"P36: {line.process} ran {line.run_id} {line.path}#{line.dispatch}, revoked before it lived"


def _faults_of_dead_letters(world: World, plan: Plan) -> Iterator[str]:
    """Exactly what was planted, and the answers that made a record too large.

    An engine sets a record aside in the transaction that moves its position. A worker first has the letter
    acknowledged, then commits its offset: what struck in between, and only that, lets the next one read it again. So
    does a step that kills its worker.
    """
    letters = world.records_of_one(world.names.dead_letters)
    found = Counter(dict(record.headers).get("dead.topic", b"").decode() for record in letters if record.key == GARBAGE)
    planted = Counter(topic_of_garbage(world.names, kind) for kind, _ in plan.garbage if kind not in NO_GARBAGE)
    workers = {worker.name for worker in world.workers}
    killed = sum(event.event == "KILLED" and event.process in workers for event in world.trace.events)
    for topic in sorted(found.keys() | planted.keys()):
        again = world.struck_count + killed if topic == world.names.step_commands() else 0
        if not planted[topic] <= found[topic] <= planted[topic] + again:
            yield f"P21: {planted[topic]} records of {topic} that nobody can read, {found[topic]} dead letters of them"
    for record in letters:
        code = dict(record.headers).get("dead.error", b"")
        if record.key != GARBAGE and code != b"record_too_large":
            yield f"a dead letter of {record.key!r}: {code!r} {dict(record.headers).get('dead.message', b'')!r}"


def _faults_of_heartbeats(world: World, answers: Answers) -> Iterator[str]:
    """A step that is quick costs no heartbeat, unless its partition is being given up (P25).

    A worker that stood still between its decision to start and the call is late with the latter alone. One that hears
    of a command from its own engine, between its turns, counts from the turn before. One that was cut off hears late of
    a rebalance.
    """
    if world.settings.head_starts or any(worker.stalls or worker.cuts for worker in world.workers):
        return
    given_up = world.cluster.groups.group(world.names.worker_group()).rebalanced_ms
    for record, each in answers:
        if not isinstance(each, StepHeartbeat) or record.timestamp_ms - each.started_at_ms >= 900:
            continue
        if not any(-2_000 <= record.timestamp_ms - at_ms <= HEARD_MS for at_ms in given_up):
            yield f"P25: a heartbeat of {each.identity.path} after {record.timestamp_ms - each.started_at_ms} ms"
