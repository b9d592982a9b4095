"""A Faust application that follows an application of ours; `BROKER` and `PREFIX` say which."""

import os
from typing import Any

import faust

from logkeel.insight.topics import run_completions, run_events

BROKER, PREFIX = os.environ["BROKER"], os.environ["PREFIX"]

app = faust.App(f"{PREFIX}.mine", broker=f"kafka://{BROKER}", topic_disable_leader=True)


@app.agent(run_events(app, PREFIX), concurrency=1)
async def follow(events: faust.StreamT[Any]) -> None:
    async for event in events:
        print(f"{type(event).__name__} {event.run_id} {event.kind}")  # noqa: T201 - what the test reads


@app.agent(run_completions(app, PREFIX), concurrency=1)
async def end(completions: faust.StreamT[Any]) -> None:
    async for completion in completions:
        print(f"{type(completion).__name__} {completion.run_id} {completion.status}")  # noqa: T201 - what the test reads


if __name__ == "__main__":
    app.main()
