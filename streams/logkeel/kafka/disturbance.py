"""Notices that a producer's connection was disturbed, so that its requests may have been sent twice (P5).

librdkafka retries EndTxn and TxnOffsetCommit by itself after a disconnect and then reports success. The only traces are
its log lines and error events: a line of these kinds since the instance was initialised retires the instance.
"""

import logging
import re

_DISTURBING = re.compile(
    r"Disconnected|Timed out|timed out|Connection reset|Broken pipe|Receive failed|Send failed|Connection closed"
    r"|brokers are down|Connect to .* failed|REQTMOUT|Transport",
)


def is_disturbing(line: str) -> bool:
    """Whether a log line of librdkafka tells of a disconnect or of a request that was given up or sent again."""
    return _DISTURBING.search(line) is not None


class DisturbanceLog(logging.Logger):
    """A logger for one producer instance that keeps the first disturbing line and passes the rest by."""

    def __init__(self, name: str) -> None:
        super().__init__(name, logging.DEBUG)
        self.first: str | None = None
        self._forward = logging.getLogger("logkeel.kafka")

    def handle(self, record: logging.LogRecord) -> None:
        """Classify one line of the client."""
        line = record.getMessage()
        self._forward.debug("%s", line)
        if self.first is None and is_disturbing(line):
            self.first = line

    def note(self, error: object) -> None:
        """An error event of the client counts as a disturbance in any case."""
        if self.first is None:
            self.first = f"error event: {error}"

    def forget(self) -> None:
        """Start over: initialising made late requests harmless."""
        self.first = None
