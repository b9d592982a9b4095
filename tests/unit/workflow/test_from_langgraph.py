"""The tutorials, in LangGraph and here: both run, and say the same."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from examples.from_langgraph import (
    chaining_langgraph,
    chaining_logkeel,
    evaluator_langgraph,
    evaluator_logkeel,
    mapping_langgraph,
    mapping_logkeel,
    review_langgraph,
    review_logkeel,
)
from langgraph.types import Command

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "from-langgraph.md"


@pytest.mark.parametrize("topic", ["cat", "cat!"])
def test_chaining_with_a_gate(topic: str) -> None:
    theirs: dict[str, Any] = chaining_langgraph.chain.invoke({"topic": topic})
    ours = asyncio.run(chaining_logkeel.chain.try_out(topic=topic))
    assert ours == {name: theirs.get(name) for name in ("joke", "improved", "final")}
    assert (ours["final"] is None) == (topic == "cat!")


def test_an_evaluator_sends_it_back() -> None:
    theirs: dict[str, Any] = evaluator_langgraph.optimizer.invoke({"topic": "logs"})
    ours = asyncio.run(evaluator_logkeel.optimizer.try_out(topic="logs"))
    assert ours == theirs["draft"] == "on logs, more, more"


def test_a_worker_for_each_element() -> None:
    theirs: dict[str, Any] = mapping_langgraph.jokes.invoke({"topic": "cat"})
    ours = asyncio.run(mapping_logkeel.jokes.try_out(topic="cat"))
    assert ours == {"jokes": theirs["jokes"], "best": theirs["best"]}
    assert len(ours["jokes"]) == 3


@pytest.mark.parametrize("verb", ["approve", "edit", "reject"])
def test_a_human_reviews(verb: str) -> None:
    config: Any = {"configurable": {"thread_id": verb}}
    asked = review_langgraph.letters.invoke({"topic": "hello"}, config)
    assert asked["__interrupt__"][0].value == {"letter": "Dear reader, hello."}
    theirs = review_langgraph.letters.invoke(Command(resume={"verb": verb, "value": "Better."}), config)
    person = (verb, "Better.") if verb == "edit" else verb
    ours = asyncio.run(review_logkeel.letters.try_out(topic="hello", humans={"review": person}))
    assert ours == {"letter": theirs["letter"], "sent": theirs.get("sent", False)}


def test_the_page_shows_what_is_run() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"<!-- (examples/\S+) -->\n```python\n(.*?)```", page, re.DOTALL)
    assert len(shown) >= 8
    for name, code in shown:
        assert code == (ROOT / name).read_text(encoding="utf-8"), f"{name} is another one: python -m {MAKER}"


MAKER = "tests.unit.workflow.test_from_langgraph"


def _shown(match: re.Match[str]) -> str:
    return f"<!-- {match[1]} -->\n```python\n{(ROOT / match[1]).read_text(encoding='utf-8')}```"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        re.sub(r"<!-- (examples/\S+) -->\n```python\n.*?```", _shown, text, flags=re.DOTALL), encoding="utf-8"
    )
