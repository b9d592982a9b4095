"""The pages on flows and humans say what is so: every block and option in them exists."""

import re
from pathlib import Path

from logkeel.definitions import HumanBlock
from logkeel.workflow import blocks
from logkeel.workflow.blocks import Asking, Gathering, Human

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_table_of_blocks_names_blocks_that_are_there() -> None:
    page = (DOCS / "flows.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)\(", page, re.MULTILINE))
    known = {"parallel", "branch", "loop", "rescue", "within", "sleep", "wait_signal", "human", "inline", "each"}
    assert named == known
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
