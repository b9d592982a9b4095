"""Restate: a service whose `ctx.run` results are journaled by the server; asked for through its HTTP ingress.

Served over HTTP/2 by hypercorn, as documented for Python. In the race each request carries an idempotency key, so that
asking again attaches; elsewhere it does not, which spares Restate the work.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import restate
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from tests.bench.peers.adapters.contract import merge, reply, setting, spread, step

FOREVER = timedelta(days=1)
bench = restate.Service("bench")
approvals = restate.Workflow("approvals")
HANDLERS = {"chain": "chain", "fan-out": "fan_out", "sleeper": "sleeper", "agent-code": "agent"}


@bench.handler()
async def chain(ctx: restate.Context, spec: dict[str, Any]) -> str:
    """Steps one after the other."""
    value = str(spec["value"])
    lean = {**spec, "value": ""}
    for index in range(spec["steps"]):
        value = await ctx.run_typed(f"s{index}", step, spec=lean, index=index, value=value)
    return "done"


@bench.handler()
async def wait(ctx: restate.Context, spec: dict[str, Any]) -> str:
    """Hold the value and wait for an awakeable that nobody resolves."""
    _, promise = ctx.awakeable()
    return str(await promise)


@bench.handler()
async def fan_out(ctx: restate.Context, spec: dict[str, Any]) -> int:
    """Steps side by side."""
    lean = {**spec, "value": ""}
    items = await ctx.run_typed("spread", spread, value=spec["value"], width=spec["width"])
    begun = [ctx.run_typed(f"s{n}", step, spec=lean, index=n, value=item) for n, item in enumerate(items)]
    await restate.gather(*begun)
    return int(await ctx.run_typed("merge", merge, results=[await each for each in begun]))


async def _now_s() -> float:
    return time.time()


@bench.handler()
async def sleeper(ctx: restate.Context, spec: dict[str, Any]) -> str:
    """Sleeps until that moment."""
    now_s = await ctx.run_typed("now", _now_s)
    await ctx.sleep(timedelta(seconds=max(0.0, spec["until_ms"] / 1_000 - now_s)))
    return "done"


@bench.handler()
async def agent(ctx: restate.Context, spec: dict[str, Any]) -> int:
    """A journaled call for each turn."""
    messages = [str(spec["value"])]
    for _ in range(spec["turns"]):
        messages.append(await ctx.run_typed("model", reply, messages=messages))
    return len(messages)


@approvals.main()
async def approval(ctx: restate.WorkflowContext, spec: dict[str, Any]) -> str:
    """Ask, wait for the answer, go on."""
    await ctx.promise("asked").resolve("approve?")
    await ctx.promise("answer").value()
    return str(await ctx.run_typed("go-on", step, spec={**spec, "value": ""}, index=0, value=spec["value"]))


@approvals.handler()
async def asked(ctx: restate.WorkflowSharedContext) -> str:
    """The question, once it is asked."""
    return str(await ctx.promise("asked").value())


@approvals.handler()
async def answer(ctx: restate.WorkflowSharedContext, verb: str) -> None:
    """The answer."""
    await ctx.promise("answer").resolve(verb)


class Restate:
    """Asks through the ingress."""

    async def open(self) -> None:
        """Register the service."""
        unlimited = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(connector=unlimited, timeout=aiohttp.ClientTimeout(total=None))
        endpoint = {"uri": f"http://127.0.0.1:{setting('WORKER_PORT')}", "force": True}
        async with self._http.post(f"{setting('ADMIN')}/deployments", json=endpoint) as answer:
            answer.raise_for_status()

    async def run(self, spec: Mapping[str, Any]) -> None:
        """Call and wait for the result."""
        headers = {"idempotency-key": spec["run_id"]} if spec["outside"] else {}
        await self._post(f"bench/{HANDLERS[spec['shape']]}", spec, headers)

    async def ask(self, spec: Mapping[str, Any]) -> None:
        """Start a workflow, and wait for its first promise."""
        await self._post(f"approvals/{spec['run_id']}/approval/send", spec)
        await self._post(f"approvals/{spec['run_id']}/asked")

    async def answer(self, spec: Mapping[str, Any]) -> None:
        """Keep its second promise, and wait for the result."""
        await self._post(f"approvals/{spec['run_id']}/answer", "approve")
        attach = f"{setting('INGRESS')}/restate/workflow/approvals/{spec['run_id']}/attach"
        async with self._http.get(attach) as response:
            response.raise_for_status()
            await response.read()

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Send; the invocation is durable when the server has answered."""
        await self._post("bench/wait/send", spec)

    async def _post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        sent = dict(body) if isinstance(body, Mapping) else body
        # A handler that takes nothing refuses a body's type, which the client would make up.
        options: dict[str, Any] = {"skip_auto_headers": ("Content-Type",)} if sent is None else {"json": sent}
        async with self._http.post(f"{setting('INGRESS')}/{path}", headers=headers, **options) as response:
            response.raise_for_status()
            await response.read()

    async def close(self) -> None:
        """Disconnect."""
        await self._http.close()


def adapter() -> Restate:
    """For the driver."""
    return Restate()


def serve() -> None:
    """The worker."""
    config = Config()
    config.bind = [f"127.0.0.1:{setting('WORKER_PORT')}"]
    config.h2_max_concurrent_streams = 2147483647
    config.keep_alive_max_requests = 2147483647
    config.keep_alive_timeout = 2147483647
    app: Any = restate.app([bench, approvals])
    asyncio.run(hypercorn_serve(app, config))
