"""Code in README files is code that runs."""

from pathlib import Path

import pytest
from tests.integration.client.snippets import ROOT, first_workflow, snippets


async def test_the_first_workflow_runs_and_has_thirty_lines(tmp_path: Path) -> None:
    module = first_workflow(tmp_path)
    assert await module.hello.try_out(name="Ada") == {"letter": "Dear Ada, it is sunny and all quiet."}
    lines = [line for line in (tmp_path / "hello.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 32


@pytest.mark.parametrize("room", ["processors/logkeel/workflow", "schemas/logkeel/wire"])
def test_the_rooms_examples_run(room: str) -> None:
    found = snippets(ROOT / room / "README.md")
    assert found
    for code in found:
        exec(compile(code, f"{room}/README.md", "exec"), {"__name__": "readme"})  # noqa: S102 - our own document
