"""Two versions of a workflow side by side: an hour of simulated time, each run pinned to its own."""

from logkeel.records import RunCompleted
from logkeel.testing.memory import MemoryApplication
from logkeel.testing.try_out import start_request
from logkeel.workflow import State, Workflow, parallel, sleep

HOUR_MS = 3_600_000


class Order(State):
    """The same in both."""

    item: str
    price: int | None = None
    bill: str | None = None


def order(version: str) -> Workflow[Order]:
    """Version 2 has another flow and another price."""
    made = Workflow("order", state=Order, returns="bill", version=version)

    @made.step(writes=lambda s: s.price)
    def price(item: str) -> int:
        return len(item) * (10 if version == "1" else 20)

    @made.step(writes=lambda s: s.bill)
    def bill(item: str, price: int) -> str:
        return f"{item}: {price} by {version}"

    if version == "1":
        made.flow(price, sleep("25m"), bill)
    else:
        made.flow(parallel(price, sleep("15m")), sleep("10m"), bill)
    return made


def test_two_versions_run_side_by_side_for_an_hour() -> None:
    versions = {version: order(version) for version in ("1", "2")}
    with MemoryApplication(list(versions.values())) as application:
        began_ms = application.cluster.clock.now_ms()
        waiting = [(began_ms + minute * 60_000, version) for minute in range(0, 61, 5) for version in versions]
        started: dict[str, str] = {}

        def start_what_is_due() -> bool:
            for due_ms, version in [each for each in waiting if each[0] <= application.cluster.clock.now_ms()]:
                waiting.remove((due_ms, version))
                run_id = f"r{len(started)}"
                started[run_id] = version
                application.send(start_request(versions[version], {"item": "tea"}, run_id), key=run_id)
            return not waiting and all(application.outcome(run_id) is not None for run_id in started)

        assert application.run_until(start_what_is_due, due_ms=lambda: min(waiting)[0] if waiting else None)
        assert application.cluster.clock.now_ms() - began_ms >= HOUR_MS
        assert len(started) == 26
        for run_id, version in started.items():
            outcome = application.outcome(run_id)
            assert isinstance(outcome, RunCompleted)
            assert (outcome.status, outcome.version) == ("succeeded", version)
            expected = f"tea: {30 if version == '1' else 60} by {version}"
            assert versions[version].result(outcome.result) == expected
            assert {event.version for event in application.history(run_id)} == {version}
