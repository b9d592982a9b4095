"""A proxy before each node of a cluster, in a process of its own: their threads must not wait for the judge's.

Run: python -m tests.chaos.proxies TARGET…; prints the addresses, then obeys lines of JSON and answers each with one.
Ends when its input ends.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Self

from logkeel.testing.proxy import Direction, TcpProxy

DELAY_S = {Direction.TO_BROKER: 0.15, Direction.TO_CLIENT: 0.15}


class Proxies:
    """The proxies' process, commanded. Use as a context."""

    def __init__(self, targets: Sequence[str]) -> None:
        command = [sys.executable, "-m", "tests.chaos.proxies", *targets]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addresses: list[str] = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def do(self, proxy: int, what: str, **arguments: Any) -> None:
        """Call a method of one proxy."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"proxy": proxy, "do": what, **arguments}) + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def obey(proxy: TcpProxy, order: dict[str, Any]) -> None:
    """Do what was said."""
    what = order.pop("do")
    if what == "delay":
        for direction, seconds in DELAY_S.items():
            proxy.delay(seconds, direction)
    else:
        getattr(proxy, what)(**order)


def main(targets: Sequence[str]) -> None:
    """Serve until the input ends."""
    proxies = [TcpProxy(target) for target in targets]
    for proxy in proxies:
        proxy.__enter__()
    answer([proxy.address for proxy in proxies])
    for line in sys.stdin:
        order = json.loads(line)
        obey(proxies[order.pop("proxy")], order)
        answer("done")


def answer(content: Any) -> None:
    """One line."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
