"""The plan of a siege: the same for the same seed, and enough of everything."""

from collections import Counter

from tests.chaos.plan import EARLY, LATE, PER_MINUTE, floors, moves


def test_the_seed_decides_everything() -> None:
    assert moves(7, 20) == moves(7, 20)
    assert moves(7, 20) != moves(8, 20)


def test_a_long_siege_has_every_move_and_ends_with_what_an_operator_repairs() -> None:
    planned = moves(1, 20)
    kinds = Counter(move.kind for move in planned)
    assert set(kinds) == {*PER_MINUTE, *EARLY, *LATE}
    assert [move.kind for move in planned[-2:]] == list(LATE)


def test_more_is_planned_than_has_to_be_done() -> None:
    for minutes in (2, 5, 20):
        kinds = Counter(move.kind for move in moves(1, minutes))
        killing = ("kill engine", "kill worker", "corrupt a store", "delete a state directory")
        assert sum(kinds[kind] for kind in killing) >= floors(minutes)["process kills"]
        assert kinds["kill broker"] >= floors(minutes)["broker kills"]
        assert kinds["end in doubt"] >= floors(minutes)["commits in doubt"]
    assert floors(20) == {"process kills": 200, "broker kills": 20, "commits in doubt": 50}
