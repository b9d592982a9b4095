"""What a second execution of a step would mean (ARCHITECTURE section 7). Values only."""

from dataclasses import dataclass, replace
from typing import Final

from logkeel.records import Effect
from logkeel.workflow.durations import Duration, to_milliseconds

DEFAULT_SETTLE_MS = 5_000


@dataclass(frozen=True, slots=True)
class EffectDeclaration:
    """The declared effect of a step. Use the constants of this module."""

    kind: Effect
    valid_for_ms: int | None = None
    settle_ms: int = DEFAULT_SETTLE_MS


@dataclass(frozen=True, slots=True)
class KeyedEffect(EffectDeclaration):
    """`KEYED`, or `KEYED(valid_for="24h")` when the outside system forgets keys after that time (P35)."""

    def __call__(self, *, valid_for: Duration) -> "KeyedEffect":
        """KEYED whose key expires; after that, doubt is treated as for ONCE. Raises ValueError."""
        return replace(self, valid_for_ms=to_milliseconds(valid_for))


@dataclass(frozen=True, slots=True)
class CheckedEffect(EffectDeclaration):
    """`CHECKED`, or `CHECKED(settle="5s")`: how long an effect may need to become visible to the check (P35)."""

    def __call__(self, *, settle: Duration) -> "CheckedEffect":
        """CHECKED with its own settle time. Raises ValueError."""
        return replace(self, settle_ms=to_milliseconds(settle))


NONE: Final = EffectDeclaration("NONE")
"""Pure or read-only: may run again at any time, even before its command is committed."""

IDEMPOTENT: Final = EffectDeclaration("IDEMPOTENT")
"""Safe to repeat; repeated only on retry or in doubt. The default of steps that write state."""

KEYED: Final = KeyedEffect("KEYED")
"""The outside system removes duplicates by `step.idempotency_key`."""

CHECKED: Final = CheckedEffect("CHECKED")
"""In doubt, the step's `check` is asked first whether the effect has happened."""

ONCE: Final = EffectDeclaration("ONCE")
"""Never repeated blindly: in doubt, a human decides. Raise `NotDone` when it surely did not happen."""
