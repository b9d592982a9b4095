"""W7: what a turn of an agent writes does not depend on how many there were before it. Counts bytes, takes no time.

Looked at in stretches of turns, since what the engine writes of one turn may come in the next.
"""

import pytest
from tests.bench.turns import AGENTS, COMMANDS, Turn, turns_of

STRETCH = 20
STRETCHES = 6
MESSAGE_BYTES = 500
TURN_BYTES = 3 * MESSAGE_BYTES + 1_500
"""The message is in the answer, in the event and in the row; the rest is names, times and positions."""


@pytest.fixture(scope="module", params=list(AGENTS))
def played(request: pytest.FixtureRequest) -> tuple[str, list[Turn]]:
    return request.param, turns_of(request.param, STRETCH * STRETCHES + 1, MESSAGE_BYTES)


def stretches(turns: list[Turn]) -> list[tuple[int, int]]:
    """Records and bytes that are kept of each stretch: all but commands."""
    totals = [turn.total(without=COMMANDS) for turn in turns]
    parts = [totals[start : start + STRETCH] for start in range(0, len(totals), STRETCH)]
    return [(sum(records for records, _ in part), sum(size for _, size in part)) for part in parts]


def test_the_last_turns_keep_as_much_as_the_first(played: tuple[str, list[Turn]]) -> None:
    _, turns = played
    found = stretches(turns)
    assert len(found) == STRETCHES
    records, sizes = zip(*found, strict=True)
    # One turn may fall over each edge. Ten bytes more with each turn would be 20 000 from the first to the last.
    assert max(records) - min(records) <= 2 * max(records) // STRETCH
    assert max(sizes) - min(sizes) <= 2 * TURN_BYTES


def test_a_turn_keeps_its_message_a_few_times_and_never_what_was_said_before(played: tuple[str, list[Turn]]) -> None:
    _, turns = played
    sizes = [size / STRETCH for _, size in stretches(turns)]
    assert all(3 * MESSAGE_BYTES < size < TURN_BYTES for size in sizes)


def test_durable_code_needs_no_command_for_a_turn_and_a_step_one_that_carries_what_is_new(
    played: tuple[str, list[Turn]],
) -> None:
    form, turns = played
    sizes = [turn.size_bytes[COMMANDS] for turn in turns]
    if form == "code":
        assert set(sizes) == {0}
        return
    # The first ones are whole, until the list is worth keeping.
    assert max(sizes[:20]) < 20 * (MESSAGE_BYTES + 64)
    assert max(sizes[20:]) - min(sizes[20:]) < 32
    assert max(sizes[20:]) < MESSAGE_BYTES + 900
