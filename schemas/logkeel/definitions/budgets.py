"""What runs may use up, as data."""

from typing import Literal

import msgspec

OnExhausted = Literal["fail", "wait", "ask"]


class BudgetDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """At most `limit` of `unit`: in each run; or in all runs that share `name`, within any `per_ms` if it is given.

    With `name` it is shared, and with a `key`, a control field, each value of that field has one of its own.
    `on_exhausted`: what becomes of a step that finds too little left; "ask": a human is asked for more,
    of a budget that each run has for itself.
    """

    unit: str
    limit: int
    name: str | None = None
    key: str | None = None
    per_ms: int | None = None
    on_exhausted: OnExhausted = "fail"
