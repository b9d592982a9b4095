"""Restate: a service whose `ctx.run` results are journaled by the server; asked for through its HTTP ingress.

Served over HTTP/2 by hypercorn, as documented for Python. In the race each request carries an idempotency key, so that
asking again attaches; elsewhere it does not, which spares Restate the work.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import restate
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from tests.bench.peers.adapters.contract import setting, step

FOREVER = timedelta(days=1)
bench = restate.Service("bench")


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
        async with self._http.post(f"{setting('INGRESS')}/bench/chain", json=dict(spec), headers=headers) as answer:
            answer.raise_for_status()
            await answer.read()

    async def wait(self, spec: Mapping[str, Any]) -> None:
        """Send; the invocation is durable when the server has answered."""
        async with self._http.post(f"{setting('INGRESS')}/bench/wait/send", json=dict(spec)) as answer:
            answer.raise_for_status()
            await answer.read()

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
    app: Any = restate.app([bench])
    asyncio.run(hypercorn_serve(app, config))
