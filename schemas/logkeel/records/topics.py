"""Names of the topics of one application. The prefix is the application (default `logkeel`)."""

from dataclasses import dataclass

DEFAULT_PREFIX = "logkeel"


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Topic and group names under one prefix, e.g. `logkeel.run-requests` (ARCHITECTURE section 3)."""

    prefix: str = DEFAULT_PREFIX

    @property
    def run_requests(self) -> str:
        return f"{self.prefix}.run-requests"

    def step_commands(self, queue: str = "default") -> str:
        """The command topic of one queue."""
        return f"{self.prefix}.step-commands.{queue}"

    @property
    def step_control(self) -> str:
        return f"{self.prefix}.step-control"

    @property
    def step_results(self) -> str:
        return f"{self.prefix}.step-results"

    @property
    def run_state(self) -> str:
        return f"{self.prefix}.run-state"

    @property
    def run_events(self) -> str:
        return f"{self.prefix}.run-events"

    @property
    def run_completions(self) -> str:
        return f"{self.prefix}.run-completions"

    @property
    def run_streams(self) -> str:
        return f"{self.prefix}.run-streams"

    @property
    def workflow_definitions(self) -> str:
        return f"{self.prefix}.workflow-definitions"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    @property
    def engine_group(self) -> str:
        """Consumer group of the run processors."""
        return f"{self.prefix}.engine"

    def worker_group(self, queue: str = "default") -> str:
        """Consumer group of the workers of one queue."""
        return f"{self.prefix}.worker.{queue}"
