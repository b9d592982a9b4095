"""A Faust application that follows an application of ours; `BROKER` and `PREFIX` say which."""

import os

import faust

from logkeel.insight.topics import run_completions, run_events

BROKER, PREFIX = os.environ["BROKER"], os.environ["PREFIX"]

app = faust.App(f"{PREFIX}.mine", broker=f"kafka://{BROKER}", web_enabled=False, topic_disable_leader=True)


@app.agent(run_events(app, PREFIX), concurrency=1)
async def follow(events: faust.Stream) -> None:  # type: ignore[type-arg]  # as users write it
    async for event in events:
        print(type(event).__name__, event.run_id, event.kind, flush=True)


@app.agent(run_completions(app, PREFIX), concurrency=1)
async def end(completions: faust.Stream) -> None:  # type: ignore[type-arg]  # as users write it
    async for completion in completions:
        print(type(completion).__name__, completion.run_id, completion.status, flush=True)


if __name__ == "__main__":
    app.main()
