"""How numbers are combined by the reducers of control fields. Pure."""

from logkeel.records.values import Control, Operation

COMBINING_OPERATIONS = frozenset({"add", "max", "min"})

LARGEST = 2**63 - 1
"""Whole numbers are Avro longs: a sum stays at their ends, since a run cannot stop at one."""


def combined(operation: Operation, former: Control, value: Control) -> Control:
    """What a field has after such a write. None is nothing; of what is no number the later one stays."""
    if value is None:
        return former
    if not isinstance(former, int | float) or not isinstance(value, int | float):
        return value
    if operation == "add":
        total = former + value
        return max(-LARGEST, min(LARGEST, total)) if isinstance(total, int) else total
    return max(former, value) if operation == "max" else min(former, value)
