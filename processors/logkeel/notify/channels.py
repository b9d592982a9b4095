"""What a channel is: a way to tell somebody something. Values and the port of `mail`, `webhooks` and `slack`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from logkeel.notify.cases import Case, Delivery, Outcome


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told. `shown`: the fields that people are to see, by name, in the author's order.

    `link`: the page where this recipient answers; None where the notifier serves no pages, or there is nothing to
    answer. `token`: what the link is signed with. `receipt`: of the newest message that this target got before.
    """

    case: Case
    delivery: Delivery
    shown: Mapping[str, Any] = field(default_factory=dict)
    link: str | None = None
    token: str | None = None
    receipt: str = ""


class Channel(Protocol):
    """One channel of the configuration. Called from several threads at once."""

    def deliver(self, message: Message) -> Outcome:
        """Send once, and wait for the answer, half a minute at most. The same key may come again.

        Raises nothing for what the outside world can cause: that is a `Retry` or `Refused`.
        """
        ...
