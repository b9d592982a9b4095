"""Which steps this worker can run: workflows by name and definition digest (P38), and how their values travel and stay.

Knows no topics.
"""

from collections.abc import Sequence

from logkeel.errors import LogkeelError
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.records import StepCommand
from logkeel.steps.bound import BoundStep, RunnableWorkflow
from logkeel.steps.kept import KEEPING, Keeping


class StepCatalog:
    """Bound steps, bound once each."""

    def __init__(
        self,
        workflows: Sequence[RunnableWorkflow],
        *,
        payloads: PayloadChain = PLAIN,
        keeping: Keeping = KEEPING,
    ) -> None:
        self.payloads = payloads
        self.keeping = keeping
        self._workflows: dict[tuple[str, str], RunnableWorkflow] = {}
        for workflow in workflows:
            definition = workflow.definition()
            self._workflows[definition.name, definition.digest] = workflow
        self._bound: dict[tuple[str, str, str], BoundStep] = {}

    def find(self, command: StepCommand) -> BoundStep | None:
        """The step that the command asks for, if this worker has exactly that version."""
        key = (command.workflow, command.definition_digest, command.identity.step)
        step = self._bound.get(key)
        if step is None:
            workflow = self._workflows.get(key[:2])
            if workflow is None:
                return None
            try:
                step = self._bound[key] = workflow.bind(command.identity.step)
            except (KeyError, LogkeelError):
                return None
        return step
