"""The driver's process: `python -m tests.bench.peers.drive MODULE`. Commands come on stdin, answers leave on stdout.

One JSON object a line. Runs in the environment of the system; whatever a library prints goes to stderr.
"""

import asyncio
import importlib
import json
import os
import sys
from typing import Any

from tests.bench.peers import driving
from tests.bench.peers.adapters.contract import Adapter

DOES = {
    "closed": driving.closed_loop,
    "open": driving.open_loop,
    "race": driving.race,
    "wait": driving.bring_to_wait,
    "answer": driving.until_answered,
    "several": driving.several,
    "approvals": driving.approvals,
    "timers": driving.timers,
}


async def main() -> None:
    """Serve commands until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    adapter: Adapter = importlib.import_module(f"tests.bench.peers.adapters.{sys.argv[1]}").adapter()
    await adapter.open()
    _answer(answers, {"ready": True})
    commands = await _stdin()
    while line := await commands.readline():
        command: dict[str, Any] = json.loads(line)
        _answer(answers, await DOES[command["do"]](adapter, command))
    await adapter.close()


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _answer(answers: Any, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    asyncio.run(main())
