"""What the simulator's seeds find of the mutations, as data: `tests/sim/found.toml` may neither shrink nor rot."""

import tomllib
from pathlib import Path

import pytest
from tests.mutants.__main__ import ROOT
from tests.sim.mutants import copy_sources, judge, recorded, seed_of

PROTOCOL: dict[str, dict[str, str]] = tomllib.loads((ROOT / "tests" / "protocol.toml").read_text())
JUDGED = {rule for rule, entry in PROTOCOL.items() if "reason" not in entry}
FOUND = recorded()
AT_LEAST = 75
QUICK = ("P1", "P7", "P13")
"""Found by the first seeds: cheap enough to be looked at in every run of the suite."""


def test_every_mutation_was_played_or_says_why_no_seed_can_show_it() -> None:
    tables = [set(FOUND[name]) for name in ("shown", "survived", "unseen")]
    assert set.union(*tables) == JUDGED
    assert sum(map(len, tables)) == len(JUDGED)
    assert all(reason.strip() for reason in FOUND["unseen"].values())


def test_what_survives_the_seeds_says_why() -> None:
    """`make sim-mutants` writes how many seeds were played; why they show nothing is written behind a semicolon."""
    assert {rule for rule, told in FOUND["survived"].items() if not told.partition(";")[2].strip()} == set()


def test_enough_mutations_are_shown() -> None:
    assert len(FOUND["shown"]) >= AT_LEAST
    assert all(seed_of(shown) >= 1 for shown in FOUND["shown"].values())


@pytest.mark.parametrize("rule", QUICK)
def test_the_seeds_still_show_it(rule: str, tmp_path: Path) -> None:
    copy_sources(tmp_path)
    assert judge(tmp_path, PROTOCOL[rule], seeds=seed_of(FOUND["shown"][rule])) is not None
