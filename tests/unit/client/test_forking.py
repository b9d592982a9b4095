"""What one record has to carry of a fork."""

import pytest
from msgspec.structs import replace
from tests.unit.projection.histories import Told

from logkeel.client.forking import NewConversation, carried, fork_request, in_conversation
from logkeel.errors import RecordTooLarge
from logkeel.records import FieldWrite, Payload
from logkeel.records.limits import MAX_RECORD_BYTES


def test_a_fork_that_fits_is_sent_as_it_is() -> None:
    request = fork_request(Told().history, run_id="new", request_id="fork")
    assert carried(request) is request


def test_a_history_or_kept_fields_that_no_record_carries_are_refused() -> None:
    large = (FieldWrite(field="letter", payload=Payload(encoding="json", data=b"x" * MAX_RECORD_BYTES)),)
    history = Told().history
    with pytest.raises(RecordTooLarge, match="1 events of run r have"):
        carried(fork_request([replace(history[0], writes=large)], run_id="new", request_id="fork"))
    turn = fork_request(history, run_id="new", request_id="fork")
    with pytest.raises(RecordTooLarge, match="Fork at an earlier revision"):
        carried(in_conversation(turn, NewConversation("talk", large)))
