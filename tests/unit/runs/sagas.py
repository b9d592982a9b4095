"""Flows with sagas for tests of the run core: `x` is undone by `x-undo`, which reads what `x` read and wrote."""

from collections.abc import Callable, Mapping

from tests.unit.runs.flows import CONTROLS, Flow, fields_of
from tests.unit.runs.scripts import identity

from logkeel.definitions import (
    Block,
    RetryPolicy,
    SagaBlock,
    StepBlock,
    StepDefinition,
    WorkflowDocument,
    WriteDefinition,
    all_blocks,
)
from logkeel.records import Effect, FieldValue, ResolveStep, StepReclaimed, StepSucceeded
from logkeel.runs.core import requests
from logkeel.runs.core.actions import DispatchStep
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.waking import lease_over, run_deadline_over


def saga_of(body: Block, *, on_cancel: str = "undo", block_id: str = "saga") -> SagaBlock:
    """Every step in it has an undo step."""
    names = {block.step for block in all_blocks(body) if isinstance(block, StepBlock)}
    undo = {name: f"{name}-undo" for name in names}
    return SagaBlock(id=block_id, body=body, undo=undo, on_cancel=on_cancel)  # type: ignore[arg-type]  # a literal


def plan_with_sagas(flow: Block, *, effects: Mapping[str, Effect] | None = None) -> Plan:
    """Every step `x` writes its field `x`, and control fields if it is told to."""
    names = sorted({block.step for block in all_blocks(flow) if isinstance(block, StepBlock)})
    steps = []
    for name in names:
        effect = (effects or {}).get(name, "KEYED")
        writes = tuple(WriteDefinition(field=each) for each in (name, *CONTROLS))
        retry = RetryPolicy(max_attempts=2)
        steps.append(StepDefinition(name=name, effect=effect, reads=("topic", "verdict"), writes=writes, retry=retry))
        steps.append(
            StepDefinition(name=f"{name}-undo", effect="KEYED", reads=tuple(sorted(("topic", name))), retry=retry)
        )
    document = WorkflowDocument(
        name="work", version="1", schema_version=1, fields=fields_of(flow), steps=tuple(steps), flow=flow, returns=()
    )
    return Plan(document, "digest")


class SagaFlow(Flow):
    """One run of a flow with sagas."""

    def __init__(self, flow: Block, *, effects: Mapping[str, Effect] | None = None, plan: Plan | None = None) -> None:
        self.sent: dict[str, tuple[FieldValue, ...]] = {}
        super().__init__(plan or plan_with_sagas(flow, effects=effects))

    def _turn(self, act: Callable[[Activation], None]) -> Activation:
        turn = super()._turn(act)
        self.sent |= {action.path: action.inputs for action in turn.actions if isinstance(action, DispatchStep)}
        return turn

    @property
    def undone(self) -> list[str]:
        """Paths of undo steps that have ended, in order."""
        return [e.path or "" for e in self.history if e.kind == "step_succeeded" and (e.path or "").endswith("/undo")]

    def undo(self) -> str:
        """The undo step that is under way succeeds; its path."""
        path = next(path for path in self.open_steps if path.endswith("/undo"))
        self.undo_at(path)
        return path

    def undo_at(self, path: str) -> None:
        """This undo step succeeds."""
        if self.state.steps[path].phase == "waiting":
            self.fire_next()
        message = StepSucceeded(identity=identity(self.state, path), holder="w", started_at_ms=0, finished_at_ms=0)
        self._turn(lambda turn: answer(turn, message))

    def undo_all(self) -> list[str]:
        """All of them, one after the other; at most one is under way in a region."""
        found = []
        while any(path.endswith("/undo") for path in self.open_steps):
            self.check()
            found.append(self.undo())
        return found

    def lose(self, path: str) -> None:
        """Nothing is heard of its worker any more."""
        self._turn(lambda turn: lease_over(turn, path))

    def reclaim(self, path: str) -> None:
        """Its worker is dead."""
        message = StepReclaimed(identity=identity(self.state, path), holder="v", holder_dead=True)
        self._turn(lambda turn: answer(turn, message))

    def inputs(self, path: str) -> dict[str, str]:
        """What the last command of a step carried, as text."""
        return {
            each.field: (each.payload.data or b"").decode().strip('"')
            for each in self.sent[path]
            if each.payload is not None
        }

    def resolve(self, path: str, decision: str) -> None:
        """A human has decided."""
        request = ResolveStep(run_id="r", path=path, decision=decision)
        self._turn(lambda turn: requests.resolve(turn, request, "q", ()))

    def time_is_over(self) -> None:
        """The deadline of the run has passed."""
        self._turn(run_deadline_over)

    def phase(self, path: str) -> str:
        """Of a step."""
        return self.state.steps[path].phase
