"""A terminal for tests: commands as a person types them, against a whole engine on the simulated cluster."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of

from logkeel.cli import run_answers, wiring
from logkeel.cli.main import main
from logkeel.definitions import Block
from logkeel.records import RunEvent
from logkeel.simulation import SimulatedClient


class CommandClient(SimulatedClient):
    """What a command connects by. The engine works beside it: a turn for each call."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.cluster)
        self._engine = engine

    def check_running(self) -> None:
        super().check_running()
        self._engine.loop.turn()


@dataclass
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Terminal:
    """Runs commands beside an engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.engine = Engine()
        self._capsys = capsys
        monkeypatch.setenv("LOGKEEL_PREFIX", "app")
        monkeypatch.setenv("COLUMNS", "200")
        for module in (wiring, run_answers):
            monkeypatch.setattr(module, "connect", lambda settings: CommandClient(self.engine))

    def start(self, *blocks: Block, run_id: str = "r") -> None:
        """A run of these blocks, on its way."""
        self.engine.publish(plan_with(flow_of(*blocks)))
        self.engine.ask(a_start(run_id))

    def __call__(self, *arguments: str) -> Said:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = self._capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    def event(self, kind: str) -> RunEvent:
        """The one event of this kind."""
        (found,) = (each for each in self.engine.told(self.engine.names.run_events, RunEvent) if each.kind == kind)
        return found
