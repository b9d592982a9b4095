"""The client's own log lines, through Python's logging: `logkeel.kafka`, each kind of line at most once in a while.

A broker that is down makes every client write a line per attempt to reconnect, fifty a second.
"""

import logging
import re
import time
from typing import ClassVar

QUIET_S = 10.0

_CHANGING = re.compile(r"\d+")
_SESSION_OVER = "SESSTMOUT"
_CONNECTION_LOST = "FAIL"


class ClientLog(logging.Logger):
    """The `logger` option of one client. Lines may come from any thread.

    Notices what no callback and no error tells: that the client ended its own session, that a connection broke. Whoever
    acts on it sets the mark back.
    """

    _last_s: ClassVar[dict[str, float]] = {}

    def __init__(self) -> None:
        super().__init__("logkeel.kafka.client", logging.DEBUG)
        self._forward = logging.getLogger("logkeel.kafka")
        self.session_over = False
        self.connection_lost = False
        self.failure: str | None = None
        """The last line about a connection that did not come about, or ended."""

    def handle(self, record: logging.LogRecord) -> None:
        """Pass one line on, unless its like was passed on a moment ago. Shared by all clients of the process."""
        line = record.getMessage()
        self.session_over = self.session_over or line.startswith(_SESSION_OVER)
        if line.startswith(_CONNECTION_LOST):
            self.connection_lost, self.failure = True, line
        kind = _CHANGING.sub("", line.rpartition("]: ")[2])
        now_s = time.monotonic()
        # No lock: its holder may collect garbage, destroy a client there, and so wait for that client's thread, which
        # is here. Two lines of a kind do no harm.
        if now_s - self._last_s.get(kind, -QUIET_S) < QUIET_S:
            return
        self._last_s[kind] = now_s
        self._forward.log(min(record.levelno, logging.WARNING), "%s", line)
