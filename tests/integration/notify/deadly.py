"""A notifier that kills itself now and then, right before a message or right after it: `logkeel notifier` in all else.

python -m tests.integration.notify.deadly SEED PERCENT notifier FILE ...
"""

import os
import random
import signal
import sys
from collections.abc import Mapping
from typing import Any

from logkeel.cli.main import main
from logkeel.notify import service
from logkeel.notify.cases import Outcome
from logkeel.notify.channels import Channel, Message


class Deadly:
    """A channel around a channel. `percent` of the messages kill before they are sent, as many after it."""

    def __init__(self, inner: Channel, chance: random.Random, percent: int) -> None:
        self._inner, self._chance, self._percent = inner, chance, percent

    def deliver(self, message: Message) -> Outcome:
        """As the channel within, if it comes to it."""
        drawn = self._chance.randrange(100)
        if drawn < self._percent:
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = self._inner.deliver(message)
        if drawn >= 100 - self._percent:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome


def run(seed: str, percent: int, arguments: list[str]) -> None:
    """The command, with its channels made deadly."""
    make, chance = service.make_channels, random.Random(seed)

    def deadly(config: Any, environment: Mapping[str, str]) -> dict[str, Channel]:
        return {name: Deadly(each, chance, percent) for name, each in make(config, environment).items()}

    service.make_channels = deadly
    main(arguments)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
