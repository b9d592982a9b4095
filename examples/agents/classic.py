"""The classic research agent: search side by side, write, judge and improve in a loop, ask a human, publish.

In memory: `await research.try_out(query="kafka", humans={"approve": "approve"})`. For real: logkeel dev classic.py
"""

from typing import Literal

from logkeel.workflow import KEYED, State, StepContext, Workflow, branch, human, leave, loop, parallel, rescue

Verdict = Literal["good", "poor"]


class Research(State):
    schema_version: int = 3
    query: str
    web: list[str] = []
    papers: list[str] = []
    report: str | None = None
    verdict: Verdict | None = None
    critique: str | None = None
    decision: Literal["approve", "reject"] | None = None
    outcome: str | None = None


research = Workflow("classic", state=Research, returns=("report", "outcome"))


@research.step(writes=lambda s: s.web, timeout="30s")
async def search_web(query: str) -> list[str]:
    return [f"a page on {query}"]


@research.step(writes=lambda s: s.papers, timeout="30s")
async def search_papers(query: str) -> list[str]:
    return [f"a paper on {query}"]


@research.step(writes=lambda s: s.report)
async def write(web: list[str], papers: list[str]) -> str:
    return f"draft 1: {'; '.join(web + papers)}"


@research.step(writes=lambda s: (s.verdict, s.critique))
async def judge(report: str) -> tuple[Verdict, str]:
    return ("good", "") if report.startswith("draft 3") else ("poor", "say more")


@research.step(writes=lambda s: s.report)
async def improve(report: str, critique: str) -> str:
    number, _, text = report.removeprefix("draft ").partition(":")
    return f"draft {int(number) + 1}:{text} ({critique})"


@research.step(writes=lambda s: s.outcome, effect=KEYED(valid_for="24h"), timeout="10s")
async def publish(report: str, step: StepContext) -> str:
    return f"published under {step.idempotency_key[:8]}"


@research.step(writes=lambda s: s.outcome)
async def archive() -> str:
    return "archived"


@research.step(writes=lambda s: s.outcome)
async def queue_for_later() -> str:
    return "queued"


research.flow(
    parallel(search_web, search_papers),
    write,
    loop(judge, leave("verdict", "good"), improve, max_rounds=3, on_exhausted="continue"),
    human("approve", shows=["report"], writes="decision", timeout="48h", on_timeout="reject", notify="editors"),
    branch("decision", approve=rescue(publish, on={"timeout": queue_for_later}), reject=archive),
)
