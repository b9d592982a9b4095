"""W7: what a turn of an agent writes does not depend on how many there were before it. Counts bytes, takes no time."""

from itertools import pairwise

import pytest
from tests.bench.turns import AGENTS, COMMANDS, Turn, turns_of

TURNS = 120
MESSAGE_BYTES = 500
GROWTH_BYTES = 64
"""Offsets, revisions and positions are written with more digits as they grow."""


@pytest.fixture(scope="module", params=list(AGENTS))
def played(request: pytest.FixtureRequest) -> tuple[str, list[Turn]]:
    return request.param, turns_of(request.param, TURNS, MESSAGE_BYTES)


def test_every_turn_leaves_as_many_records_as_the_first(played: tuple[str, list[Turn]]) -> None:
    _, turns = played
    assert len(turns) == TURNS - 1
    assert {tuple(turn.records.items()) for turn in turns} == {tuple(turns[0].records.items())}


def test_what_a_turn_keeps_is_its_message_a_few_times_and_never_what_was_said_before(
    played: tuple[str, list[Turn]],
) -> None:
    _, turns = played
    sizes = [turn.total(without=COMMANDS)[1] for turn in turns]
    assert max(sizes) - min(sizes) <= GROWTH_BYTES
    # The message itself: in the answer, in the event and in the row; the rest is names, times and positions.
    assert 3 * MESSAGE_BYTES < max(sizes) < 3 * MESSAGE_BYTES + 1_500


def test_durable_code_needs_no_command_for_a_turn_and_a_step_one_that_carries_what_it_reads(
    played: tuple[str, list[Turn]],
) -> None:
    form, turns = played
    sizes = [turn.size_bytes[COMMANDS] for turn in turns]
    if form == "code":
        assert set(sizes) == {0}
        return
    grown = [later - earlier for earlier, later in pairwise(sizes)]
    assert all(MESSAGE_BYTES < each <= MESSAGE_BYTES + GROWTH_BYTES for each in grown)
