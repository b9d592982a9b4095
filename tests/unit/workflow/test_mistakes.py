"""Each mistake is told with what, where and what to do; the texts are kept beside, since people read them.

After a wanted change: `python -m tests.unit.workflow.test_mistakes` writes the texts anew.
"""

import re
from pathlib import Path

import pytest
from tests.unit.workflow.budget_mistakes import MISTAKES
from tests.unit.workflow.mistakes import Drafts, Mistake

from logkeel.errors import DefinitionError

TEXTS = Path(__file__).with_name("mistakes.txt")
LEAST = 25


def told(mistake: Mistake) -> str:
    """The message, without the place of this repository."""
    with pytest.raises(DefinitionError) as caught:
        mistake(Drafts())
    return re.sub(r"/\S*/(\w*mistakes\.py):\d+", r"\1", caught.value.message)


def everything() -> str:
    """All of them, as they are kept."""
    return "".join(f"{name}\n{told(mistake)}\n\n" for name, mistake in MISTAKES.items())


def test_the_messages_are_as_people_know_them() -> None:
    assert everything() == TEXTS.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_place_and_remedy(name: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        MISTAKES[name](Drafts())
    assert caught.value.problems
    for problem in caught.value.problems:
        assert all(problem[part] for part in ("what", "place", "remedy"))


def test_they_are_many_and_each_is_another_one() -> None:
    first = [told(mistake).splitlines()[0] for mistake in MISTAKES.values()]
    assert len({re.sub(r"'[^']*'", "…", each) for each in first}) >= LEAST


if __name__ == "__main__":
    TEXTS.write_text(everything(), encoding="utf-8")
