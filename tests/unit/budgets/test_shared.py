"""Budgets that runs share, on the log: runs and the budget live on different partitions (P29, 0031)."""

from msgspec.structs import replace
from tests.unit.budgets.budgeted import budgeted, shared
from tests.unit.runs.limited import Site
from tests.unit.runs.scripts import T0, flow_of, step_block, text

from logkeel.definitions import BudgetDefinition, Handler, RescueBlock, RetryPolicy
from logkeel.log import OutputRecord
from logkeel.records import LimitAnswered, ReleaseLimit, StepReclaimed, StepRefused, StepSucceeded
from logkeel.runs import RunSettings
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.limit_records import home_of
from logkeel.runs.rows.limit_rows import LimitName
from logkeel.wire import encode

a, b = step_block("a"), step_block("b")
MINUTE_MS = 60_000


def one_step(budget: BudgetDefinition, uses: int = 40) -> Plan:
    """Runs of one step that uses so much at most."""
    return budgeted(flow_of(a), [budget], {"a": {"tokens": uses}}, retry=RetryPolicy(max_attempts=3, initial_ms=500))


def site_of(plan: Plan, settings: RunSettings | None = None) -> Site:
    """Its budget lives on another partition than its runs."""
    return Site(plan, kind="budget", name="work/tokens", settings=settings)


def succeed(site: Site, run_id: str, **used: int) -> None:
    """The newest execution of the run returns, and says what it has used."""
    command = site.last(run_id)
    outcome = StepSucceeded(
        identity=command.identity,
        holder="w",
        started_at_ms=T0,
        finished_at_ms=T0,
        writes=(text(command.identity.step, "done"),),
        used=used,
    )
    site.answer(command, outcome)


def released(site: Site) -> list[int | None]:
    """What claims said that they had used."""
    return [each.used for each in site.told(site.names.run_requests, ReleaseLimit)]


def codes(site: Site) -> list[str]:
    """Of runs that failed."""
    return [each.error.code for each in site.completions() if each.error is not None]


def test_runs_use_up_one_budget_and_the_one_too_many_fails() -> None:
    site = site_of(one_step(shared(100)))
    first, second = site.begin(0), site.begin(1)
    assert site.kinds(first) == ["run_started", "limit_asked", "limit_granted", "step_dispatched"]
    third = site.begin(2)
    assert site.kinds(third) == ["run_started", "limit_asked"], "what is reserved may come back: it waits"
    succeed(site, first, tokens=15)
    assert site.sent() == [first, second, third]
    succeed(site, second, tokens=40)
    succeed(site, third)
    assert released(site) == [15, 40, 40]
    fourth = site.begin(3)
    assert site.kinds(fourth)[-1] == "run_completed"
    assert codes(site) == ["budget_exhausted"]
    assert site.limit_rows(), "what was used stays used"


def test_each_key_has_its_own() -> None:
    site = site_of(one_step(shared(40, key="tenant")))
    acme, other = site.begin(0, "acme"), site.begin(1, "other")
    assert sorted(site.sent()) == sorted([acme, other])
    succeed(site, acme, tokens=1)
    assert site.begin(2, "acme") not in site.sent()


def test_with_a_window_it_waits_until_there_is_enough_again_and_nothing_stays() -> None:
    site = site_of(one_step(shared(100, MINUTE_MS, on_exhausted="wait")))
    first, second = site.begin(0), site.begin(1)
    succeed(site, first, tokens=40)
    succeed(site, second, tokens=40)
    third = site.begin(2)
    assert third not in site.sent()
    site.cluster.advance(MINUTE_MS)
    site.turns()
    assert third in site.sent()
    succeed(site, third, tokens=0)
    site.cluster.advance(MINUTE_MS)
    site.turns()
    assert [each.status for each in site.completions()] == ["succeeded"] * 3
    assert site.limit_rows() == []


def test_rescue_catches_what_a_shared_budget_refuses() -> None:
    guarded = RescueBlock(id="rescue", body=a, handlers=(Handler(on="budget_exhausted", block=b),))
    site = site_of(budgeted(flow_of(guarded), [shared(50)], {"a": {"tokens": 40}}))
    first = site.begin(0)
    succeed(site, first, tokens=40)
    second = site.begin(1)
    assert site.kinds(second) == ["run_started", "limit_asked", "block_rescued", "step_dispatched"]
    assert site.last(second).identity.step == "b"


def test_a_lost_execution_counts_in_full_and_the_next_one_asks_anew() -> None:
    site = site_of(one_step(shared(100)))
    first = site.begin(0)
    command = site.last(first)
    site.answer(command, StepReclaimed(identity=command.identity, holder="v", holder_dead=True))
    assert released(site) == [40]
    assert site.last(first).identity.dispatch == 2
    succeed(site, first, tokens=3)
    assert released(site) == [40, 3]
    site.answer(command, replace(_outcome(site, command.identity.dispatch), used={"tokens": 9}))
    assert released(site) == [40, 3], "the zombie's word changes nothing"


def _outcome(site: Site, dispatch: int) -> StepSucceeded:
    command = next(each for each in site.commands() if each.identity.dispatch == dispatch)
    return StepSucceeded(identity=command.identity, holder="w", started_at_ms=T0, finished_at_ms=T0)


def test_what_no_worker_knows_costs_nothing() -> None:
    site = site_of(one_step(shared(100)))
    first = site.begin(0)
    command = site.last(first)
    site.answer(command, StepRefused(identity=command.identity, holder="w", reason="unknown"))
    assert released(site)[0] == 0


def test_who_is_cancelled_while_waiting_costs_nothing_and_who_was_sent_counts_in_full() -> None:
    site = site_of(one_step(shared(60)))
    first, second = site.begin(0), site.begin(1)
    site.cancel(second)
    site.cancel(first)
    assert released(site) == [0, 40]
    third = site.begin(2)
    assert site.kinds(third)[-1] == "run_completed"
    assert codes(site)[-1] == "budget_exhausted"
    assert ["20 are left" in each.error.message for each in site.completions() if each.error][-1]


def test_a_release_that_comes_twice_is_settled_once() -> None:
    site = site_of(one_step(shared(100)))
    first = site.begin(0)
    succeed(site, first, tokens=30)
    (release,) = site.told(site.names.run_requests, ReleaseLimit)
    limit = LimitName.of(release)
    for _ in range(2):
        output = OutputRecord(site.names.run_requests, limit.pack(), encode(release), home_of(limit, 2))
        site.producer.produce(output)
        site.turns()
    second = site.begin(1)
    assert second in site.sent(), "30 are used, not 90"


def test_a_grant_for_a_run_that_is_no_more_counts_in_full() -> None:
    """Of a run whose rows were lost nobody knows what it used: its claim is told again, and comes back so."""
    site = site_of(one_step(shared(100)))
    first = site.begin(0)
    (granted,) = site.told(site.names.step_results, LimitAnswered)
    stranger = replace(granted, run_id=site.run_ids[9])
    site.producer.produce(OutputRecord(site.names.step_results, None, encode(stranger), 1 - home_of(site.limit, 2)))
    site.turns()
    assert released(site) == [None]
    succeed(site, first, tokens=1)
    assert released(site) == [None, 1]


def test_holders_are_told_again_and_a_new_engine_goes_on() -> None:
    site = site_of(one_step(shared(60)), RunSettings(remind_holders_ms=10_000))
    first, second = site.begin(0), site.begin(1)
    site.reboot()
    site.turns(400)
    assert site.sent() == [first]
    assert released(site) == []
    succeed(site, first, tokens=10)
    assert site.sent() == [first, second]
