"""Python code out of README files."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3]


def snippets(path: Path) -> list[str]:
    """All Python blocks of a Markdown file."""
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


def snippet(name: str) -> str:
    """The block of the main README that begins with `# name`."""
    return next(code for code in snippets(ROOT / "README.md") if code.startswith(f"# {name}\n"))


def first_workflow(directory: Path) -> ModuleType:
    """The main README's `hello.py`, written to a folder and imported."""
    path = directory / "hello.py"
    path.write_text(snippet("hello.py"))
    spec = importlib.util.spec_from_file_location("hello", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
