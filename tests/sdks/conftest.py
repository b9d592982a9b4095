"""Agent SDKs are large, so the tests' environment has none of them: `make sdks` makes one that has (requirements.txt).

Elsewhere nothing here is collected.
"""

from importlib.util import find_spec

collect_ignore_glob = [] if all(map(find_spec, ("agents", "langchain", "pydantic_ai"))) else ["test_*.py"]
