"""What steps tell while they run (`run-streams`): for whoever looks on. Nothing is decided by it."""

import msgspec

from logkeel.records.values import Payload, StepIdentity


class StepEmitted(msgspec.Struct, frozen=True, kw_only=True):
    """Values that the code of one execution has emitted, in order.

    The first has the number `sequence`, from 0 in each execution, and each of them a time in `times_ms`. `dropped`:
    how many are missing between the former record of the execution and this one. `values` is a JSON array.
    """

    identity: StepIdentity
    sequence: int
    times_ms: tuple[int, ...]
    values: Payload
    dropped: int = 0
