"""What a proxy does with each request and response: rules and their bookkeeping; no sockets, no clock.

A rule is spent after `times` matches. `None` as api key matches every request.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from logkeel.testing.frames import RequestHeader


class Action(StrEnum):
    """What a rule does. Dropping a response means: the broker did the work, the client never hears of it."""

    DELAY_REQUEST = "delay_request"
    CUT_BEFORE_REQUEST = "cut_before_request"
    DROP_RESPONSE = "drop_response"
    CUT_AT_RESPONSE = "cut_at_response"
    DELAY_RESPONSE = "delay_response"


ON_REQUEST = frozenset({Action.DELAY_REQUEST, Action.CUT_BEFORE_REQUEST})


@dataclass(slots=True)
class Rule:
    """One rule; `hits` counts its matches."""

    action: Action
    api_key: int | None
    times: int | None = 1
    seconds: float = 0.0
    hits: int = 0

    def matches(self, api_key: int) -> bool:
        """Whether the rule applies to this api key and is not spent."""
        return self.api_key in (None, api_key) and (self.times is None or self.hits < self.times)


class RuleBook:
    """The rules of a proxy and what was counted. The caller serialises access."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.requests: Counter[int] = Counter()
        self.responses: Counter[int] = Counter()
        self.dropped: Counter[int] = Counter()

    def add(self, rule: Rule) -> Rule:
        """Put a rule at the end; the first that matches applies."""
        self.rules.append(rule)
        return rule

    def on_request(self, header: RequestHeader) -> Rule | None:
        """Count a request and take the rule for it, if any."""
        self.requests[header.api_key] += 1
        return self._take(header.api_key, on_request=True)

    def on_response(self, api_key: int) -> Rule | None:
        """Count a response to a request of that api key and take the rule for it, if any."""
        self.responses[api_key] += 1
        rule = self._take(api_key, on_request=False)
        if rule is not None and rule.action in {Action.DROP_RESPONSE, Action.CUT_AT_RESPONSE}:
            self.dropped[api_key] += 1
        return rule

    def _take(self, api_key: int, *, on_request: bool) -> Rule | None:
        for rule in self.rules:
            if (rule.action in ON_REQUEST) is on_request and rule.matches(api_key):
                rule.hits += 1
                return rule
        return None
