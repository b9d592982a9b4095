"""Child runs as a reader of histories sees them."""

from tests.unit.projection.histories import T0, Told, json_write

from logkeel.cli.wait_views import sentence
from logkeel.projection import WaitView
from logkeel.records import ErrorInfo, Parent


def test_a_child_is_waited_for_until_it_ends_and_its_result_is_written() -> None:
    told = Told()
    told.tell("child_started", "kid", name="other-1", attributes={"workflow": "other"})
    wait = WaitView(path="kid", kind="child", number=2, since_ms=T0 + 1_000, name="other-1")
    assert told.view.waits == {"kid": wait}
    assert sentence(wait, T0 + 61_000) == "waits for its child run other-1: kid, for 1m 00s"
    told.tell("child_ended", "kid", name="other-1", status="succeeded", writes=(json_write("report", "1"),))
    assert told.view.waits == {}
    assert told.view.fields["report"].path == "kid"
    assert told.view.children == {"kid": "other-1"}


def test_a_detached_child_is_known_and_not_waited_for() -> None:
    told = Told()
    told.tell("child_started", "kid", name="other-1", attributes={"workflow": "other", "detached": "true"})
    assert told.view.waits == {}
    assert told.view.children == {"kid": "other-1"}


def test_a_child_that_failed_is_waited_for_no_more_and_a_child_knows_its_parent() -> None:
    parent = Parent(run_id="p", incarnation="1", path="x", number=3, depth=1, max_depth=2, max_descendants=0)
    told = Told(parent=parent)
    told.tell("child_started", "kid", name="other-1")
    error = ErrorInfo(code="child_failed", kind="fatal", message="it broke")
    told.tell("child_ended", "kid", name="other-1", status="failed", error=error)
    assert told.view.waits == {}
    assert told.view.parent_run_id == "p"
