"""What `run follow` prints of an emitted value."""

from logkeel.cli.run_following import emitted_json, emitted_text
from logkeel.client import Emitted


def emitted(value: object, *, dropped: int = 0) -> Emitted:
    """A value of the second execution of a step."""
    return Emitted(
        place="7.1",
        run_id="r",
        incarnation="i",
        path="write",
        step="write",
        attempt=1,
        dispatch=2,
        sequence=4,
        at_ms=3_500,
        value=value,
        dropped=dropped,
    )


def test_a_line_says_when_which_execution_and_what() -> None:
    line = emitted_text(emitted("a token"), 1_000)
    assert line.split() == ["2.5s", "emitted", "write", "(attempt", "1,", "dispatch", "2):", "a", "token"]
    assert emitted_text(emitted({"done": 0.5}, dropped=3), 1_000).endswith('(3 missing) {"done":0.5}')


def test_texts_of_models_move_no_cursor() -> None:
    assert "\x1b" not in emitted_text(emitted("a\x1b[2Jb\nc"), 0)


def test_in_json_it_is_told_from_events_by_its_kind() -> None:
    found = emitted_json(emitted([1]))
    assert (found["kind"], found["place"], found["value"], found["dispatch"]) == ("emitted", "7.1", [1], 2)
