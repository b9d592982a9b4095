"""What docs/gateway.md and docs/operate.md tell people to type is understood: every SQL, call and column."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, site
from tests.unit.projection.histories import Told
from tests.unit.readmodel.told import Log

from logkeel.readmodel import FILE_NAME
from logkeel.readmodel.schema import DOCUMENTED_VIEWS
from logkeel.readmodel.sql import query

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {name: (DOCS / name).read_text() for name in ("gateway.md", "operate.md")}
STATEMENTS = [" ".join(each.split()) for text in PAGES.values() for each in re.findall(r'logkeel sql "([^"]+)"', text)]
CALLS = [line for line in PAGES["operate.md"].splitlines() if line.startswith("curl ")]
ROUTES = re.findall(r"^\| `(GET|POST) ([^`]+)`", PAGES["gateway.md"], re.MULTILINE)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log, told, folder = Log(), Told("r-7", attributes={"customer": "7"}), tmp_path_factory.mktemp("file")
    told.tell("step_dispatched", "draft", step="draft", attempt=1)
    log.tell(told.history)
    log.project(folder)
    return folder / FILE_NAME


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, TestClient]]:
    with site(tmp_path_factory.mktemp("file")) as pair:
        yield pair


@pytest.mark.parametrize("statement", STATEMENTS)
def test_sql_of_the_pages_is_answered(file: Path, statement: str) -> None:
    columns, rows = query(file, statement)
    assert columns
    if "run_id = 'r-7'" in statement and "failed" not in statement:
        (row,) = rows
        assert row[:2] == ("draft", "draft")


def test_the_columns_of_the_views_are_those_of_the_page(file: Path) -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| `([a-z_ ]+)` \|$", PAGES["gateway.md"], re.MULTILINE))
    assert set(listed) == set(DOCUMENTED_VIEWS)
    for view, columns in listed.items():
        assert query(file, f"SELECT * FROM {view}")[0] == tuple(columns.split())  # noqa: S608 - names of our own


@pytest.mark.parametrize("line", CALLS)
def test_calls_of_the_page_are_understood(opened: tuple[Site, TestClient], line: str) -> None:
    address = urlsplit(f"http://{shlex.split(line, comments=True)[1]}")
    answer = opened[1].get(f"{address.path}?{address.query}" if address.query else address.path)
    assert answer.status_code == 200 or answer.json()["code"] == "run_not_found", answer.text


def test_every_route_of_the_page_is_described(opened: tuple[Site, TestClient]) -> None:
    described = opened[1].get("/openapi.json").json()["paths"]
    paths = {re.sub(r"\{\w+\}", "{}", path): each for path, each in described.items()}
    assert len(ROUTES) > 10
    for method, path in ROUTES:
        plain = re.sub(r"\{\w+\}", "{}", path.partition("?")[0])
        assert method.lower() in paths[plain], path


def test_the_pages_have_what_is_tested_here() -> None:
    assert len(STATEMENTS) >= 5
    assert len(CALLS) >= 6
