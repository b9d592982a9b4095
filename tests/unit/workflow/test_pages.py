"""The pages on flows and humans say what is so: every block and option in them exists."""

import re
from pathlib import Path
from typing import get_args

from logkeel.definitions import HumanBlock, OnBusy, OnExhausted
from logkeel.runs.core.children import MAX_DEPTH, MAX_DESCENDANTS
from logkeel.workflow import blocks
from logkeel.workflow.blocks import Asking, Gathering, Human

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_table_of_blocks_names_blocks_that_are_there() -> None:
    page = (DOCS / "flows.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)\(", page, re.MULTILINE))
    known = {"parallel", "branch", "loop", "rescue", "within", "sleep", "wait_signal", "human", "inline", "each"}
    assert named == known | {"child"}
    assert all(callable(getattr(blocks, name)) for name in named)


def test_the_question_of_the_page_can_be_asked() -> None:
    page = (DOCS / "humans.md").read_text(encoding="utf-8")
    match = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert match is not None
    asked = eval(match[1], {"human": blocks.human})  # noqa: S307 - our own page
    assert isinstance(asked, Human)
    assert set(asked.how) == set(Asking.__annotations__)
    assert {*Asking.__annotations__} - {"timeout", "remind"} <= {*HumanBlock.__struct_fields__}


def test_the_page_on_each_names_its_options_and_no_others() -> None:
    page = (DOCS / "each.md").read_text(encoding="utf-8")
    table = page.partition("## `each`")[2].partition("- **The elements**")[0]
    options = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    named = {name for each in options for name in re.findall(r"`(\w+)`", each)}
    assert named == set(Gathering.__annotations__)
    assert all(
        f"`{name}" in page or f", {name}]" in page for name in ("Append", "Put", "Elements", "Add", "Max", "Min")
    )


def test_the_page_on_conversations_shows_the_example_and_names_every_way_to_be_busy() -> None:
    page = (DOCS / "conversations.md").read_text(encoding="utf-8")
    assert set(re.findall(r'^\| `"(\w+)"` \|', page, re.MULTILINE)) == set(get_args(OnBusy))
    example = (DOCS.parent / "examples" / "agents" / "support_chat.py").read_text(encoding="utf-8")
    match = re.search(r"```python\n(class Chat.*?)\n\n\nsupport", page, re.DOTALL)
    assert match is not None
    assert match[1] in example


def test_the_page_on_limits_shows_the_example() -> None:
    page = (DOCS / "limits.md").read_text(encoding="utf-8")
    example = (DOCS.parent / "examples" / "agents" / "metered.py").read_text(encoding="utf-8")
    match = re.search(r"```python\n(.*?)\n```", page, re.DOTALL)
    assert match is not None
    shown = [line.removesuffix(" ...") for line in match[1].splitlines() if line]
    assert len(shown) == 4
    assert all(line in example for line in shown)


def test_the_page_on_budgets_shows_the_example() -> None:
    page = (DOCS / "budgets.md").read_text(encoding="utf-8")
    example = (DOCS.parent / "examples" / "agents" / "frugal.py").read_text(encoding="utf-8")
    match = re.search(r"```python\n(.*?)\n```", page, re.DOTALL)
    assert match is not None
    assert all(part in example for part in match[1].split("\n\n\n"))
    assert all(f'| `"{word}"` |' in page for word in get_args(OnExhausted))


def test_the_page_on_children_names_their_limits_and_failures() -> None:
    page = (DOCS / "inline-and-child.md").read_text(encoding="utf-8")
    assert f"Unless said: {MAX_DEPTH} and {MAX_DESCENDANTS:,}".replace(",", " ") in page
    assert all(f"`{code}`" in page for code in ("child_failed", "child_too_deep", "too_many_descendants"))
