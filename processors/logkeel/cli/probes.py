"""What a supervisor asks a process: `/livez`, `/readyz` and `/startupz`, by HTTP, off unless `--probe-port` is given.

- **live**: the loop turns. It says nothing of the broker: a broker that is away is not mended by starting anew.
- **ready**: partitions are assigned and restored; no longer so from the first SIGTERM on.
- **started**: it was ready once. A long restore is no reason to be killed; give its probe the time that it may take.

The answers are read from another thread, off what the loop keeps anyway: the loop does nothing for them.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol

from logkeel.cli.output import say
from logkeel.cli.watchdog import Beats
from logkeel.errors import PortTaken

LIVE, READY, STARTED = "/livez", "/readyz", "/startupz"

PATHS: Final = (LIVE, READY, STARTED)
_REQUEST_TIMEOUT_S: Final = 5.0


class Probed(Protocol):
    """Knows how a process is."""

    def answer(self, path: str, now_s: float) -> tuple[bool, str]:
        """(whether it is so, why) for one of `PATHS`. `now_s` is monotonic. From any thread."""
        ...


@dataclass
class Health:
    """Implements `Probed`: what is known of one loop. `limit_s`: how long a turn may take, as the watchdog has it."""

    beats: Beats
    limit_s: float
    is_ready: Callable[[], bool]
    _was_ready: bool = field(default=False, init=False)

    def answer(self, path: str, now_s: float) -> tuple[bool, str]:
        """(whether it is so, why) for one of `PATHS`. `now_s` is monotonic."""
        silent_s = 0.0 if self.beats.beat_s is None else now_s - self.beats.beat_s
        if path == LIVE:
            return silent_s <= self.limit_s, f"the loop turned {silent_s:.1f} s ago"
        ready = self.is_ready()
        self._was_ready = self._was_ready or ready
        if path == STARTED:
            return self._was_ready, "partitions were ready" if self._was_ready else "partitions are not restored yet"
        if self.beats.stopping:
            return False, "the process is ending"
        return (
            ready,
            "partitions are assigned and restored" if ready else "partitions are not all assigned and restored",
        )


@dataclass(frozen=True)
class JointHealth:
    """Implements `Probed`: several loops of one process, by name. It is so once it is so of each of them.

    `is_ending`: whether the process is to end. That is true of the process before the loops hear of it, one by one.
    """

    loops: Mapping[str, Health]
    is_ending: Callable[[], bool]

    def answer(self, path: str, now_s: float) -> tuple[bool, str]:
        """See `Probed`."""
        # All are asked each time: each remembers whether it was ready.
        answers = [(name, *health.answer(path, now_s)) for name, health in self.loops.items()]
        if path == READY and self.is_ending():
            return False, "the process is ending"
        missing = [(name, why) for name, fine, why in answers if not fine]
        shown = missing or [(name, why) for name, _, why in answers]
        return not missing, "; ".join(f"{name}: {why}" for name, why in shown)


def serve_probes(health: Probed, host: str, port: int) -> ThreadingHTTPServer:
    """Answer on threads of their own until the process ends. Raises `PortTaken`."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_TIMEOUT_S

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path not in PATHS:
                self._say(404, {"error": f"there are {', '.join(PATHS)}"})
                return
            fine, why = health.answer(path, time.monotonic())
            self._say(200 if fine else 503, {"ok": fine, "why": why})

        def _say(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """A probe comes every few seconds: it is no news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise PortTaken(f"probes cannot listen on {host}:{port}: {error}; choose another --probe-port") from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="logkeel-probes", daemon=True).start()
    return server


def offer_probes(health: Probed, host: str, port: int) -> None:
    """As `serve_probes`, if a port is given."""
    if port:
        server = serve_probes(health, host, port)
        say(f"probes on http://{server.server_address[0]!s}:{server.server_address[1]}{READY}")
