"""The first byte of every row key, and who owns what lies under it.

| prefix | owner | changelogged |
|---|---|---|
| `00` | the loop's local rows: changelog offset, topic id, caught-up stamp, crash marker | no |
| `01` | positions of the input partitions (P2) | yes |
| `02` | durable timers | yes |
| `03` | what an operator vouched for when the changelog was repaired | yes |
| `10` … `FF` | the processor | yes |
"""

LOCAL = b"\x00"
POSITION = b"\x01"
TIMER = b"\x02"
VOUCHED = b"\x03"
PROCESSOR = b"\x10"
END = b"\xff" * 9
"""Sorts behind every key in use; an upper bound for scans of everything."""
