"""Which notifications are due to whom, and that nothing is told that is over."""

import pytest
from tests.unit.notify.world import ROUTES, World

from logkeel.notify.cases import Kind, Refused, Retry, Target
from logkeel.notify.routing import Routes
from logkeel.notify.schedule import DELAYS_MS, JITTER_PERCENT, next_attempt_ms
from logkeel.records import FieldReference, FieldWrite

ADA, HOOK, CHIEF = "mail:ada@example.com", "hook", "mail:chief@example.com"


def answered(world: World, run_id: str = "r", by: str = "bob") -> None:
    world.happens("question_answered", run_id, path="approve", name="approve", actor=by, reason="fine", request_id="q")


def test_everybody_on_the_route_is_asked_once_and_told_of_the_answer() -> None:
    world = World()
    world.asks()
    world.run()
    assert world.postbox.told() == [("asked", HOOK), ("asked", ADA)]
    message = world.postbox.messages[0]
    assert (message.case.question.question, message.shown) == ("May this go out?", {"report": "a fine report"})
    world.run()
    assert len(world.postbox.got) == 2
    answered(world)
    world.run()
    assert world.postbox.told(2) == [("answered", HOOK), ("answered", ADA)]
    last = world.postbox.messages[-1]
    assert last.case.answer is not None
    assert (last.case.answer.verb, last.case.answer.by, last.receipt) == ("approve", "bob", "receipt 2")
    assert len(world.postbox.keys()) == 4


def test_what_was_answered_before_it_could_be_sent_is_told_to_nobody() -> None:
    world = World()
    world.asks()
    answered(world)
    world.run()
    assert world.postbox.got == []
    assert {each.state for each in world.cases()["r approve"].deliveries} == {"dropped"}


def test_reminders_escalation_and_delegation_are_told_to_who_is_asked_now() -> None:
    world = World()
    world.asks()
    world.run()
    world.happens("question_reminded", path="approve", actor="editors")
    world.happens("question_reminded", path="approve", actor="editors")
    world.run()
    assert world.postbox.told(2) == [("reminder", HOOK)] * 2 + [("reminder", ADA)] * 2
    world.happens("question_reassigned", path="approve", name="chief", reason="escalated", due_ms=10)
    world.run()
    assert world.postbox.told(6) == [("escalated", CHIEF)]
    world.happens("question_reassigned", path="approve", name="editors", actor="chief", due_ms=10)
    world.run()
    assert world.postbox.told(7) == [("delegated", HOOK), ("delegated", ADA)]
    assert len(world.postbox.keys()) == 9


def test_a_question_that_ends_without_an_answer_is_withdrawn() -> None:
    world = World()
    world.asks()
    world.asks("other")
    world.run()
    world.happens("run_completed", status="cancelled")
    world.happens("block_rescued", "other", path="")
    world.run()
    assert world.postbox.told(4) == [("withdrawn", HOOK), ("withdrawn", ADA)]
    assert world.cases()["other approve"].is_open


def test_another_round_of_the_same_block_is_another_question() -> None:
    world = World()
    world.asks()
    world.run()
    answered(world)
    world.asks()
    world.run()
    assert [kind for kind, target, _ in world.postbox.got if target == ADA] == ["asked", "answered", "asked"]
    assert len(world.postbox.keys()) == len(world.postbox.got)


def test_a_failed_delivery_comes_again_and_what_follows_it_waits() -> None:
    world = World(Routes(channels={"hook"}, table={"editors": (Target("hook"),)}))
    world.postbox.answers = [Retry("503"), Retry("503", after_ms=20_000)]
    world.asks()
    world.happens("question_reminded", path="approve", actor="editors")
    world.run()
    assert world.postbox.told() == [("asked", HOOK)]
    assert world.cases()["r approve"].deliveries[0].error == "503"
    assert world.run(turns=400, step_ms=1_000)
    assert world.postbox.told() == [("asked", HOOK)] * 3 + [("reminder", HOOK)]
    assert len(world.postbox.keys()) == 2


def test_the_time_of_a_retry_outlives_a_restart() -> None:
    world = World(Routes(channels={"hook"}, table={"editors": (Target("hook"),)}))
    world.postbox.answers = [Retry("503")]
    world.asks()
    world.run(turns=20)
    due_ms = world.cases()["r approve"].deliveries[0].next_ms
    for _ in range(3):
        world.run(turns=10)
    assert world.cases()["r approve"].deliveries[0].next_ms == due_ms
    assert len(world.postbox.got) == 1
    world.run(turns=200)
    assert len(world.postbox.got) == 2


def test_the_schedule_ends_and_says_so() -> None:
    world = World(Routes(channels={"hook"}, table={"editors": (Target("hook"),)}))
    world.postbox.answers = [Retry("503")] * 20
    world.asks()
    world.run(turns=700, step_ms=600_000)
    assert len(world.postbox.got) == len(DELAYS_MS) + 1
    assert world.cases()["r approve"].deliveries[0].state == "failed"


def test_an_endpoint_that_is_gone_gets_nothing_more_until_its_address_changes() -> None:
    world = World()
    world.postbox.answers = [Refused("410", gone=True)]
    world.routes = Routes(channels={"hook"}, table={"editors": (Target("hook"),)}, fingerprints={"hook": "h1"})
    world.asks()
    world.run()
    world.asks("second")
    world.run()
    assert world.postbox.told() == [("asked", HOOK)]
    assert world.cases()["second approve"].deliveries[0].state == "failed"
    world.routes = Routes(channels={"hook"}, table={"editors": (Target("hook"),)}, fingerprints={"hook": "h2"})
    world.asks("third")
    world.run()
    assert world.postbox.told() == [("asked", HOOK)] * 2


def test_who_answered_is_not_told_that_somebody_has() -> None:
    world = World()
    world.asks()
    world.run()
    answered(world, by="ada@example.com")
    world.run()
    assert world.postbox.told(2) == [("answered", HOOK)]


def test_a_question_of_code_shows_what_its_own_event_brings() -> None:
    world = World()
    show = FieldWrite(field="show", is_control=True, control="delete all")
    facts = {"allow": "approve,reject", "shows": "show", "notify": "editors"}
    reads = (FieldReference(field="show", revision=1),)
    world.happens("question_asked", path="agent?3", reason="sure?", attributes=facts, writes=(show,), reads=reads)
    world.run()
    assert world.postbox.messages[0].shown == {"show": "delete all"}
    world.happens("step_failed", path="agent", step="agent")
    world.happens("step_revoked", path="agent", step="agent")
    world.run()
    assert world.postbox.told(2) == [("withdrawn", HOOK), ("withdrawn", ADA)]


@pytest.mark.parametrize(
    ("assignee", "notify", "expected"),
    [
        ("editors", None, [HOOK, ADA]),
        ("editors", "chief", [CHIEF]),
        ("nobody", "mail:eve@example.com", ["mail:eve@example.com"]),
        ("nobody", "sms:123", []),
        (None, None, []),
    ],
)
def test_a_name_leads_to_its_route(assignee: str | None, notify: str | None, expected: list[str]) -> None:
    world = World()
    world.asks(actor=assignee, attributes={} if notify is None else {"notify": notify})
    world.run()
    assert [target for _, target in world.postbox.told()] == expected


def test_a_route_for_everybody_else_and_kinds_of_a_channel() -> None:
    table = {"*": (Target("hook"), Target("mail", "x@example.com"))}
    kinds: dict[str, tuple[Kind, ...]] = {"mail": ("asked",)}
    world = World(Routes(channels=ROUTES.channels, table=table, kinds=kinds))
    world.asks(actor="somebody")
    world.run()
    answered(world)
    world.run()
    assert world.postbox.told() == [("answered", HOOK), ("asked", HOOK), ("asked", "mail:x@example.com")]


def test_rows_are_forgotten_a_week_after_the_end() -> None:
    world = World()
    world.asks()
    world.run()
    answered(world)
    world.happens("run_completed", status="succeeded")
    world.run()
    assert world.cases()
    world.run(turns=200, step_ms=3_600_000)
    assert world.cases() == {}
    assert world.dead_letters() == 0


def test_values_of_a_run_that_was_retried_are_shown() -> None:
    world = World()
    report = FieldWrite(field="report", is_control=True, control="first")
    world.happens("step_succeeded", path="write", step="write", writes=(report,))
    world.happens("run_completed", status="failed")
    world.run(turns=100, step_ms=3_600_000)
    world.happens("run_retried")
    world.run(turns=100, step_ms=3_600_000)
    reads = (FieldReference(field="report", revision=1),)
    facts = {"allow": "approve", "shows": "report"}
    world.happens("question_asked", path="approve", actor="editors", attributes=facts, reads=reads)
    world.run()
    assert world.postbox.messages[0].shown == {"report": "first"}


def test_delays_grow_have_jitter_and_follow_the_receiver() -> None:
    for attempt, delay_ms in enumerate(DELAYS_MS, start=1):
        times = {next_attempt_ms(f"k{number}", attempt, 0) for number in range(50)}
        assert all(each is not None and delay_ms <= each <= delay_ms * (100 + JITTER_PERCENT) // 100 for each in times)
        assert len(times) > 5
    assert next_attempt_ms("k", len(DELAYS_MS) + 1, 0) is None
    assert next_attempt_ms("k", 1, 1_000, not_before_ms=60_000) == 61_000
