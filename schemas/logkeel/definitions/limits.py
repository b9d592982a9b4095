"""What runs and steps keep to, over the whole application, as data."""

import msgspec

from logkeel.records import LimitKind


class LimitDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """At most `limit` at once, or within `per_ms` if it is a rate; with a `key`, so many for each value of that field.

    All that give the same name, kind and field share the limit. `key` is a control field. It is read when the slot is
    asked for: of a step just before it is sent, of a run when it begins.
    """

    kind: LimitKind
    name: str
    limit: int
    key: str | None = None
    per_ms: int | None = None
