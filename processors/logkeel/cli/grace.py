"""How long a process may need to end after SIGTERM, out of what its ending is made of. Pure.

Whoever ends it with SIGKILL should wait that long: `terminationGracePeriodSeconds`. A process killed sooner loses
nothing; the others wait for its session to end instead.
"""

import math
from typing import Final

from logkeel.cli.ending import LINGER_S
from logkeel.exactly_once import LoopSettings
from logkeel.log import HAND_OVER_S
from logkeel.notify.schedule import DRAIN_S as NOTIFIER_DRAIN_S
from logkeel.notify.schedule import PAGES_S
from logkeel.steps.emitting import CLOSE_S
from logkeel.steps.worker import LEAVE_FLUSH_S

DRAIN_S: Final = 25.0
"""What running steps are given, unless `--drain` says otherwise."""

SPARE_S: Final = 5.0
"""For a machine that is busy with ending many processes at once."""


def worker_grace_s(drain_s: float = DRAIN_S) -> int:
    """Hand over, let steps end, flush answers and dead letters, close the streams of tokens, leave."""
    return math.ceil(HAND_OVER_S + drain_s + 2 * LEAVE_FLUSH_S + CLOSE_S + LINGER_S + SPARE_S)


def engine_grace_s(settings: LoopSettings) -> int:
    """Finish the batch, hand over, close stores; a commit in flight is waited for."""
    batch_s = (settings.max_batch_ms + settings.commit_timeout_ms) / 1_000
    return math.ceil(batch_s + HAND_OVER_S + LINGER_S + SPARE_S)


def notifier_grace_s(settings: LoopSettings) -> int:
    """Let messages under way end, then as an engine; and the pages."""
    return engine_grace_s(settings) + math.ceil(NOTIFIER_DRAIN_S + PAGES_S)


def insight_grace_s(session_timeout_ms: int) -> int:
    """Stop reading, and let what was sent be confirmed: a session at most. It has nothing to hand over."""
    return math.ceil(session_timeout_ms / 1_000 + LINGER_S + SPARE_S)
