"""Schedules on the production engine in memory: put, due, overlapping, steered, refused."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from logkeel.client import AsyncClient, Client
from logkeel.client.asynchronous import AsyncSchedules
from logkeel.errors import DefinitionError
from logkeel.log import TopicPartition
from logkeel.projection import ScheduleView
from logkeel.records import RequestRejected
from logkeel.steps import publish_definitions
from logkeel.testing.memory import MemoryApplication
from logkeel.wire import decode
from logkeel.workflow import Retry, Schedule, State, Workflow, wait_signal
from logkeel.workflow.scheduling import schedule_of


class Report(State):
    """What is reported."""

    region: str
    text: str | None = None


def reports(version: str = "1") -> "Workflow[Report]":
    """One step."""
    workflow = Workflow("reports", state=Report, returns="text", version=version)

    @workflow.step(writes=lambda s: s.text, retry=Retry(max_attempts=1))
    async def write(region: str) -> str:
        return f"all is well in {region}"

    workflow.flow(write)
    return workflow


def slow_reports() -> "Workflow[Report]":
    """It ends when somebody says so."""
    workflow = Workflow("slow", state=Report, returns="text")

    @workflow.step(writes=lambda s: s.text)
    async def write(region: str) -> str:
        return region

    workflow.flow(wait_signal("enough"), write)
    return workflow


class Site:
    """An application and a client of it, on simulated time."""

    def __init__(self, application: MemoryApplication, client: Client) -> None:
        self.application = application
        self.client = client

    @property
    def now(self) -> datetime:
        """The time of the application."""
        return datetime.fromtimestamp(self.application.cluster.clock.now_ms() / 1_000, tz=UTC)

    def until(self, met: Any) -> None:
        """Turn until then; time jumps to what is due next."""
        assert self.application.run_until(met, due_ms=self._next_ms), "nothing moves any more"

    def _next_ms(self) -> int | None:
        due = [view.standing.next_ms for view in self.client.schedules.list()]
        return min((at_ms for at_ms in due if at_ms is not None), default=None)

    def view(self, name: str) -> ScheduleView:
        """The schedule, once there is one."""
        self.until(lambda: self.client.schedules.show(name) is not None)
        found = self.client.schedules.show(name)
        assert found is not None
        return found

    def events(self, name: str, kind: str) -> list[Any]:
        """What became of it so far, of that kind."""
        view = self.client.schedules.show(name)
        return [] if view is None else [event for event in view.events if event.kind == kind]

    def started(self, name: str) -> list[str]:
        """Runs that it has started so far."""
        return [event.run_id for event in self.events(name, "started")]

    def rejections(self) -> list[RequestRejected]:
        """What was refused."""
        places = [TopicPartition(self.application.names.run_completions, number) for number in range(2)]
        reader = self.application.client.reader("read_committed")
        reader.assign(dict.fromkeys(places, 0))
        found = [decode(record.value or b"") for record in reader.fetch(1_000, 0.0).records]
        return [each for each in found if isinstance(each, RequestRejected)]


@contextmanager
def site(*workflows: "Workflow[Any]") -> Iterator[Site]:
    with (
        MemoryApplication(list(workflows), partitions=2) as application,
        Client(application.client, prefix="memory") as client,
    ):
        yield Site(application, client)


def hourly(workflow: "Workflow[Any]", name: str = "nightly", **more: Any) -> Schedule:
    return schedule_of(workflow, name, {"every": "1h", "input": {"region": "north"}, **more})  # type: ignore[typeddict-item]  # tests pass literals


def test_runs_start_when_they_are_due_and_carry_name_and_time() -> None:
    workflow = reports()
    with site(workflow) as it:
        it.client.schedules.put(hourly(workflow))
        it.client.schedules.put(hourly(workflow))
        assert it.view("nightly").standing.workflow == "reports"
        it.until(lambda: len(it.started("nightly")) == 3)
        names = it.started("nightly")
        assert len(it.events("nightly", "put")) == 1
        moments = [datetime.fromisoformat(name.removeprefix("nightly/")) for name in names]
        assert moments[1] - moments[0] == moments[2] - moments[1] == timedelta(hours=1)
        assert all(moment.minute == moment.second == 0 for moment in moments)
        it.until(lambda: it.application.outcome(names[2]) is not None)
        history = it.application.history(names[0])
        assert (history[0].attributes or {}) == {"schedule": "nightly", "due": names[0].removeprefix("nightly/")}
        assert history[0].routing_key == "nightly"
        assert it.events("nightly", "ended")[0].reason == "succeeded"


def test_a_run_that_goes_on_lets_the_next_ones_wait_until_it_ends() -> None:
    workflow = slow_reports()
    with site(workflow) as it:
        it.client.schedules.put(hourly(workflow, overlap="queue"))
        it.until(lambda: it.view("nightly").standing.waiting == 0 and len(it.started("nightly")) == 1)
        first = it.started("nightly")[0]
        it.application.cluster.advance(2 * 3_600_000)
        it.client.signal(first, "enough", routing_key="nightly")
        it.until(lambda: len(it.started("nightly")) == 2)
        assert it.application.outcome(first) is not None


def test_a_run_that_goes_on_is_cancelled_for_the_next_one() -> None:
    workflow = slow_reports()
    with site(workflow) as it:
        it.client.schedules.put(hourly(workflow, overlap="cancel"))
        it.until(lambda: len(it.started("nightly")) == 3)
        first, second, _ = it.started("nightly")
        assert [it.application.outcome(run).status for run in (first, second)] == ["cancelled"] * 2  # type: ignore[union-attr]  # it has ended


def test_it_is_steered_by_requests_and_tells_of_them() -> None:
    workflow = reports()
    with site(workflow) as it:
        schedules = it.client.schedules
        schedules.put(hourly(workflow))
        it.view("nightly")
        schedules.pause("nightly", reason="holidays")
        it.until(lambda: it.view("nightly").standing.paused)
        schedules.trigger("nightly", request_id="by-ada")
        schedules.trigger("nightly", request_id="by-ada")
        it.until(lambda: it.application.outcome("nightly/by-ada") is not None)
        assert it.started("nightly") == ["nightly/by-ada"]
        schedules.resume("nightly")
        it.until(lambda: not it.view("nightly").standing.paused)
        begin = it.now - timedelta(hours=3)
        schedules.backfill("nightly", begin, it.now)
        it.until(lambda: len(it.started("nightly")) >= 4)
        schedules.delete("nightly")
        it.until(lambda: schedules.show("nightly") is None)
        assert schedules.list() == []


def awaited(it: Site, call: Callable[[AsyncSchedules], Awaitable[Any]]) -> Any:
    """What a client of another event loop is told."""

    async def ask() -> Any:
        async with AsyncClient(it.application.client, prefix="memory") as client:
            return await call(client.schedules)

    return asyncio.run(ask())


def test_coroutines_steer_schedules_too() -> None:
    workflow = reports()
    with site(workflow) as it:
        awaited(it, lambda schedules: schedules.put(hourly(workflow)))
        it.view("nightly")
        awaited(it, lambda schedules: schedules.pause("nightly", reason="holidays"))
        it.until(lambda: it.view("nightly").standing.paused)
        awaited(it, lambda schedules: schedules.resume("nightly"))
        awaited(it, lambda schedules: schedules.trigger("nightly", request_id="by-ada"))
        begin = it.now - timedelta(hours=3)
        awaited(it, lambda schedules: schedules.backfill("nightly", begin, it.now))
        it.until(lambda: len(it.started("nightly")) >= 3)
        assert [view.name for view in awaited(it, lambda schedules: schedules.list())] == ["nightly"]
        assert not awaited(it, lambda schedules: schedules.show("nightly")).standing.paused
        awaited(it, lambda schedules: schedules.delete("nightly"))
        it.until(lambda: it.client.schedules.show("nightly") is None)
        assert awaited(it, lambda schedules: schedules.show("nightly")) is None


def test_refusals_are_told() -> None:
    workflow = reports()
    with site(workflow) as it:
        it.client.schedules.pause("unknown")
        it.until(lambda: len(it.rejections()) == 1)
        assert it.rejections()[0].code == "schedule_not_found"


def test_a_worker_of_a_former_version_does_not_put_the_old_schedule_back() -> None:
    old, new = reports(), reports("2")
    old.schedule("nightly", every="1h", input={"region": "old"})
    new.schedule("nightly", every="2h", input={"region": "new"})
    with site(old, new) as it:
        publish_definitions(it.application.client, it.application.names, [old, new])
        it.client.schedules.put_all(new.schedules.values())
        assert it.view("nightly").standing.every_ms == 7_200_000
        it.client.schedules.put_all(old.schedules.values())
        it.client.schedules.pause("nightly")
        it.until(lambda: it.view("nightly").standing.paused)
        assert it.view("nightly").standing.every_ms == 7_200_000
        it.client.schedules.put(old.schedules["nightly"])
        it.until(lambda: it.view("nightly").standing.every_ms == 3_600_000)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cron": "0 3 * *", "input": {"region": "n"}}, "no cron expression"),
        ({"cron": "0 3 * * *", "tz": "Berlin", "input": {"region": "n"}}, "no time zone"),
        ({"cron": "0 3 * * *"}, "its input does not fit"),
        ({"every": "soon", "input": {"region": "n"}}, "not a duration"),
        ({"every": "1h", "tz": "Europe/Berlin", "input": {"region": "n"}}, "has no time zone"),
        ({"every": "1h", "overlap": "never", "input": {"region": "n"}}, "overlap='never'"),
        ({"every": "1h", "backfill": 5_000, "input": {"region": "n"}}, "backfill=5000"),
        ({"input": {"region": "n"}}, "either a cron expression or an interval"),
    ],
)
def test_mistakes_are_named_with_place_and_remedy(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said) as raised:
        reports().schedule("nightly", **options)
    assert raised.value.args[0].count("  do: ") == 1
    assert "schedule 'nightly' of workflow 'reports'" in str(raised.value)


def test_names_are_given_once_and_are_plain() -> None:
    workflow = reports()
    workflow.schedule("nightly", every="1h", input={"region": "n"})
    with pytest.raises(DefinitionError, match="two schedules are called 'nightly'"):
        workflow.schedule("nightly", every="2h", input={"region": "n"})
    with pytest.raises(DefinitionError, match="no name of a schedule"):
        workflow.schedule("every/night", every="2h", input={"region": "n"})


def test_a_conversation_has_no_schedule() -> None:
    workflow = Workflow("chat", state=Report, conversation="region")
    with pytest.raises(DefinitionError, match="turns of a conversation"):
        workflow.schedule("nightly", every="2h", input={"region": "n"})
