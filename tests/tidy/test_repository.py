"""The repository keeps to every rule."""

from pathlib import Path

import pytest
from tests.tidy.rules import RULES, Repository, Rule

REPOSITORY = Repository(Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_to(rule: Rule) -> None:
    assert rule(REPOSITORY) == [], rule.__doc__


def test_the_rules_see_the_repository() -> None:
    assert len(REPOSITORY.product()) > 20
