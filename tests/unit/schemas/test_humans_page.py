"""The records that `docs/humans.md` shows can be sent as they stand."""

from pathlib import Path

from logkeel.records import AnswerQuestion
from logkeel.wire import decode_request

PAGE = Path(__file__).parents[3] / "docs" / "humans.md"


def test_every_record_on_the_page_is_an_answer() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    found = [decode_request(line.encode()) for line in lines]
    assert all(isinstance(each, AnswerQuestion) for each in found)
    assert [each.verb for each in found if isinstance(each, AnswerQuestion)] == ["approve", "edit", "delegate"]
