"""What docs/observability.md says, as data."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[3] / "docs" / "observability.md").read_text()
STANDARD = {"ts", "level", "event", "role"}


def documented_lines() -> dict[tuple[str, str], set[str]]:
    """Keys of every line of the log, by (role, event)."""
    found: dict[tuple[str, str], set[str]] = {}
    for names, role, _, keys in re.findall(r"^\| (`[^|]+) \| (\w+) \| (\w+) \| ([^|]+) \|$", TEXT, re.MULTILINE):
        own = set(re.findall(r"`(\w+)`", keys))
        if keys.startswith("the same and "):
            own |= found[role, "step_started"] - STANDARD
        for name in re.findall(r"`(\w+)`", names):
            found[role, name] = STANDARD | own
    return found
