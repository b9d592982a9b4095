"""The example agents under crashes: a sample of the places in each run of the suite, all of them by `make crashes`."""

import os
from pathlib import Path

import pytest
from tests.unit.testing.agents import AGENTS

from logkeel.testing.crashes import Outside, crash_everywhere

EVERYWHERE = os.environ.get("LOGKEEL_TEST_CRASHES") == "all"
SAMPLE = 16
"""One to two seconds for each agent."""


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.timeout(1_800 if EVERYWHERE else 180)
def test_no_crash_changes_what_an_agent_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = AGENTS[name]
    ledgers: list[Outside] = []

    def surroundings(outside: Outside) -> object:
        ledgers.append(outside)
        return agent.surroundings(monkeypatch, tmp_path, outside)

    options = {} if EVERYWHERE else {"at_most": SAMPLE}
    report = crash_everywhere(
        agent.workflow,
        agent.inputs,
        resources=surroundings,  # type: ignore[arg-type]
        results=agent.results,
        humans=agent.humans,
        **options,  # type: ignore[arg-type]
    )
    assert report.violations == [], str(report)
    assert report.status == "succeeded"
    assert report.schedules == (report.points if EVERYWHERE else SAMPLE)
    assert len(ledgers) == report.schedules + 2, "twice undisturbed, once for each crash"
    assert {what: ledgers[0].count(what) for what in agent.happens} == agent.happens
    assert len(ledgers[0].happenings) == sum(agent.happens.values())
