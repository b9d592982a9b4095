"""Bodies of requests, and what answers look like, for OpenAPI. Answers are made by `logkeel.projection.documents`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from logkeel.records import RunStatus

LONGEST_ID = 512
DAY_MS = 86_400_000
LARGEST = 2**53 - 1
"""Beyond it JSON's numbers are not exact everywhere."""

OFFSETS = r"^[0-9]{1,15}:[0-9]{1,15}(,[0-9]{1,15}:[0-9]{1,15})*$"
"""PARTITION:OFFSET, several with commas."""

Word = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Text = Annotated[str, Field(max_length=10_000)]
Milliseconds = Annotated[int, Field(ge=0, le=LARGEST)]
Attributes = Annotated[dict[Word, Annotated[str, Field(max_length=10_000)]], Field(max_length=64)]


def _whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(_whole)]
Time = Annotated[int, Field(ge=1, le=100 * 365 * DAY_MS), BeforeValidator(_whole)]
"""Milliseconds; workflows know no time of more than 100 years."""


class Body(BaseModel):
    """Of a request: a field that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RunQuery(BaseModel):
    """Filters of a list of runs, all of which have to be met, and which part of it."""

    model_config = ConfigDict(extra="forbid")

    workflow: Word | None = None
    status: RunStatus | None = None
    step: Annotated[Word | None, Field(description="A step that is open now.")] = None
    waiting_for: Literal["sleep", "signal", "human", "child", "limit"] | None = None
    assignee: Annotated[Word | None, Field(description="Who is being asked.")] = None
    in_doubt: Annotated[bool, Field(description="A human is asked about a step.")] = False
    paused: bool = False
    started_after_ms: Annotated[Milliseconds | None, Field(description="Not before this time.")] = None
    started_before_ms: Annotated[Milliseconds | None, Field(description="Before this time.")] = None
    attribute: Annotated[
        list[Annotated[str, Field(pattern=r"^[^=]+=", max_length=1_000)]],
        Field(max_length=16, description="name=value; may be repeated."),
    ] = []
    cursor: Annotated[str | None, Field(max_length=1_000, description="`next_cursor` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    min_offset: Annotated[str | None, Field(max_length=2_000, pattern=OFFSETS)] = None


class StartBody(Body):
    """A run that is asked for. Without `run_id` it gets one; with an Idempotency-Key always the same."""

    workflow: Word
    input: dict[Word, Any] = {}
    run_id: Word | None = None
    routing_key: Word | None = None
    attributes: Attributes = {}
    run_timeout_ms: Time | None = None


class SignalBody(Body):
    """A signal."""

    name: Word
    payload: Any = None
    correlation: Word | None = None


class ReasonBody(Body):
    """Why; it stands in the history."""

    reason: Text | None = None


class ForkBody(Body):
    """A new run from the history of this one, behind revision `at`, with other values in some fields."""

    at: Whole | None = None
    edits: dict[Word, Any] = {}
    version: Word | None = None
    run_id: Word | None = None
    reason: Text | None = None


class ResolveBody(Body):
    """A decision about a step in doubt: `did`, with what it wrote, `did_not`, or `retry`."""

    path: Word
    decision: Literal["did", "did_not", "retry"]
    result: dict[Word, Any] = {}
    comment: Text | None = None


class AnswerBody(Body):
    """An answer. `value` goes with edit and respond; `assignee` with delegate; `question`: which one was seen.

    `answered_by` counts only where nobody has to say who they are.
    """

    verb: Literal["approve", "edit", "reject", "respond", "delegate"]
    value: Any = None
    question: Whole | None = None
    assignee: Word | None = None
    comment: Text | None = None
    grant: Whole | None = None
    answered_by: Word | None = None


class Seen(BaseModel):
    """Of an answer: more members may stand beside those that are named."""

    model_config = ConfigDict(extra="allow")


class Problem(Seen):
    """RFC 9457. `code` is stable: the error tree's."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class RunLine(Seen):
    """A run in a list."""

    run_id: str
    workflow: str
    status: RunStatus
    revision: int
    started_at_ms: int
    age_ms: int
    paused_at_ms: int | None
    current_steps: list[dict[str, Any]]
    waits: list[dict[str, Any]]


class RunPage(Seen):
    """Runs, the youngest first. With `next_cursor` there may be more, also behind a short page."""

    items: list[RunLine]
    next_cursor: str | None
    reflects: dict[str, int]


class RunDocument(RunLine):
    """Everything a run is. `result`: what it returned, once that is known."""

    fields: dict[str, Any]
    steps: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    completed_steps: list[str]
    attributes: dict[str, str]
    history_complete: bool
    reflects: dict[str, int]


class HistoryPage(Seen):
    """Events in order; go on with `after`."""

    items: list[dict[str, Any]]
    next_after: int | None
    reflects: dict[str, int]


class Asked(Seen):
    """A request that is on the log, or what became of it if that was waited for."""

    run_id: str
    request_id: str
    state: Literal["asked", "accepted"]


class Outcome(Seen):
    """What became of a request."""

    request_id: str
    state: Literal["accepted", "rejected"]
    run_id: str | None
    code: str | None
    reason: str | None


class QuestionPage(Seen):
    """Open questions, the oldest first."""

    items: list[dict[str, Any]]
    next_cursor: str | None
    reflects: dict[str, int]


class Question(Seen):
    """An open question: what is to be seen, and the JSON Schema of an answer."""

    run_id: str
    path: str
    question: str
    shown: dict[str, Any]


class Counts(Seen):
    """How many runs there are."""

    in_flight: int
    by_status: dict[str, int]
    by_workflow: dict[str, dict[str, int]]
    reflects: dict[str, int]


class Workflows(Seen):
    """What is published, the newest version of a name last."""

    items: list[dict[str, Any]]
    reflects: dict[str, int]
