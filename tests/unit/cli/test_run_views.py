"""A run as people and programs see it."""

import pytest
from rich.console import Console
from tests.unit.runs.scripts import flow_of, plan_of, step_block
from tests.unit.runs.test_core_laws import World

from logkeel.cli import run_views
from logkeel.cli.times import duration
from logkeel.definitions import ParallelBlock, RetryPolicy
from logkeel.projection import RunView, documents
from logkeel.projection.projection import fold


def drawn(view: RunView, now_ms: int) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(run_views.tree(view, now_ms))
    return captured.get()


@pytest.fixture
def world() -> World:
    """Two branches; the first has failed once and waits, the second is done."""
    fork = ParallelBlock(id="fork", branches=(step_block("a"), step_block("b")))
    world = World(plan_of(flow_of(fork, step_block("c")), retry=RetryPolicy(max_attempts=3)))
    world.move("fail", "fork/a")
    world.move("succeed", "fork/b")
    return world


def test_the_tree_shows_forks_attempts_and_times(world: World) -> None:
    view = fold(world.history)
    text = drawn(view, view.updated_at_ms + 5_000)
    assert "fork" in text
    assert "a  waiting to go on for" in text
    assert "✓ b" in text
    assert "c" not in {line.split()[-1] for line in text.splitlines()}


def test_json_says_the_current_step_and_for_how_long(world: World) -> None:
    view = fold(world.history)
    value = documents.run_json(view, view.updated_at_ms + 5_000)
    (step,) = value["current_steps"]
    assert (step["path"], step["phase"]) == ("fork/a", "waiting")
    assert step["for_ms"] == view.updated_at_ms + 5_000 - view.steps["fork/a"].since_ms
    assert value["completed_steps"] == ["fork/b"]
    assert [error["path"] for error in value["errors"]] == ["fork/a"]
    assert value["schema_version"] == 1


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0ms"),
        (850, "850ms"),
        (12_340, "12.3s"),
        (245_000, "4m 05s"),
        (11_520_000, "3h 12m"),
        (187_200_000, "2d 4h"),
    ],
)
def test_durations_are_for_people(milliseconds: int, said: str) -> None:
    assert duration(milliseconds) == said


def test_a_long_value_is_cut() -> None:
    assert len(run_views.short("x" * 1_000)) == run_views.LONGEST_VALUE
