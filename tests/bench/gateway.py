"""`python -m tests.bench.gateway [--starts N] [--callers C]`: starts over HTTP. Asserts nothing; figures as JSON.

Broker, gateway and callers share this machine; no engine runs, so that it is the gateway that is measured.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it has none
from tests.ports import free_port

from logkeel.broker import EmbeddedBroker

BODY = {"workflow": "work", "input": {"query": "durable agents"}}
READY_S = 60.0


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="starts over HTTP")
    parser.add_argument("--starts", type=int, default=5_000)
    parser.add_argument("--callers", type=int, default=32)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="logkeel-gateway-") as scratch,
        EmbeddedBroker(Path(scratch) / "kafka") as broker,
    ):
        report = _measure(broker.bootstrap_servers, Path(scratch), options.starts, options.callers)
    print(json.dumps(report, indent=2))


def _measure(bootstrap: str, folder: Path, starts: int, callers: int) -> dict[str, Any]:
    port = free_port()
    environment = {
        **os.environ,
        "LOGKEEL_BOOTSTRAP_SERVERS": bootstrap,
        "LOGKEEL_STATE_DIR": str(folder / "state"),
        "LOGKEEL_GATEWAY_PORT": str(port),
        "LOGKEEL_GATEWAY_RATE_PER_S": "0",
    }
    logkeel = [sys.executable, "-m", "logkeel.cli.main"]
    subprocess.run([*logkeel, "topics", "apply"], env=environment, check=True, capture_output=True)
    with subprocess.Popen([*logkeel, "gateway"], env=environment, stderr=subprocess.DEVNULL) as gateway:
        try:
            _until_ready(port)
            asyncio.run(_start(port, starts // 10, callers))
            used = psutil.Process(gateway.pid).cpu_times()
            began_s = time.perf_counter()
            took_ms = asyncio.run(_start(port, starts, callers))
            elapsed_s = time.perf_counter() - began_s
            now = psutil.Process(gateway.pid).cpu_times()
        finally:
            gateway.terminate()
    cpu_s = now.user + now.system - used.user - used.system
    took_ms.sort()
    return {
        "starts": starts,
        "callers": callers,
        "starts_per_s": round(starts / elapsed_s),
        "gateway_cpu_us_per_start": round(cpu_s / starts * 1e6),
        "p50_ms": round(statistics.median(took_ms), 1),
        "p99_ms": round(took_ms[int(len(took_ms) * 0.99)], 1),
    }


async def _start(port: int, starts: int, callers: int) -> list[float]:
    took_ms: list[float] = []

    async def call(count: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60.0) as client:
            for _ in range(count):
                began_s = time.perf_counter()
                answer = await client.post("/v1/runs", json=BODY)
                answer.raise_for_status()
                took_ms.append((time.perf_counter() - began_s) * 1_000)

    await asyncio.gather(*(call(starts // callers) for _ in range(callers)))
    return took_ms


def _until_ready(port: int) -> None:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the gateway was not ready")


if __name__ == "__main__":
    main()
