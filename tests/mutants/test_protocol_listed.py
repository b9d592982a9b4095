"""`tests/protocol.toml` may not rot: every rule is there, every test exists, every mutation still finds its line."""

import ast
import tomllib
from pathlib import Path

import pytest
from tests.mutants.__main__ import ROOT, RULES

PROTOCOL: dict[str, dict[str, str]] = tomllib.loads((ROOT / "tests" / "protocol.toml").read_text())
JUDGED = [rule for rule, entry in PROTOCOL.items() if "reason" not in entry]


def test_every_rule_is_listed_once_and_in_order() -> None:
    """A rule with several holes has more entries, named `P35.deadline`, right behind its first one."""
    assert [rule for rule in PROTOCOL if "." not in rule] == RULES
    listed = [rule.split(".")[0] for rule in PROTOCOL]
    assert listed == sorted(listed, key=RULES.index)


@pytest.mark.parametrize("rule", PROTOCOL)
def test_an_entry_has_a_mutation_or_a_reason(rule: str) -> None:
    keys = set(PROTOCOL[rule])
    assert keys in ({"reason"}, {"test", "file", "find", "replace", "why"})
    assert all(text.strip() for name, text in PROTOCOL[rule].items() if name != "replace")


@pytest.mark.parametrize("rule", JUDGED)
def test_a_mutation_finds_its_line_once_and_changes_it(rule: str) -> None:
    entry = PROTOCOL[rule]
    assert (ROOT / entry["file"]).read_text().count(entry["find"]) == 1
    assert entry["replace"] != entry["find"]
    assert entry["file"].split("/")[0] in ("streams", "schemas", "processors")


@pytest.mark.parametrize("rule", JUDGED)
def test_the_test_of_a_rule_exists(rule: str) -> None:
    file, _, name = PROTOCOL[rule]["test"].partition("::")
    assert name in functions_of(ROOT / file)


def functions_of(path: Path) -> set[str]:
    """Test functions at the top of a file."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
