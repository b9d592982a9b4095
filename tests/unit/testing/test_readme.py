"""The README's first workflow is code that runs."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

README = Path(__file__).parents[3] / "README.md"


def first_workflow(directory: Path) -> ModuleType:
    """The README's `hello.py` as a module."""
    code = re.search(r"```python\n(# hello\.py\n.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    path = directory / "hello.py"
    path.write_text(code[1])
    spec = importlib.util.spec_from_file_location("hello", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_first_workflow_runs_and_has_thirty_lines(tmp_path: Path) -> None:
    module = first_workflow(tmp_path)
    assert await module.hello.try_out(name="Ada") == {"letter": "Dear Ada, it is sunny and all quiet."}
    lines = [line for line in (tmp_path / "hello.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 32
