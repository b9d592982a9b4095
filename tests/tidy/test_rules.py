"""Each rule finds the fault it is there for: no check is unable to fail."""

from pathlib import Path

import pytest
from tests.tidy import rules
from tests.tidy.rules import RULES, Repository, Rule, words_of

CLEAN = {
    "README.md": "# logkeel\n\n```sh\nmake demo   # runs\nmake test\n```\n\nAlso `make lint`.\n",
    "Makefile": "demo: ## x\n\ntest: ## y\n\nlint:\n",
    "streams/logkeel/kafka/py.typed": "",
    "streams/logkeel/kafka/__init__.py": "import confluent_kafka\n\nfrom logkeel.errors import Fault\n",
    "schemas/logkeel/errors/py.typed": "",
    "schemas/logkeel/errors/__init__.py": "class Fault(Exception):\n    pass\n",
    "schemas/logkeel/records/py.typed": "",
    "processors/logkeel/cli/py.typed": "",
    "processors/logkeel/cli/run.py": "def run(a, b, c, d, e, f, g): ...\n",
    "tests/unit/test_a.py": "def test_a():\n    assert True\n",
}

FAULTS: list[tuple[Rule, str, str, str]] = [
    (rules.files_are_short, "tests/unit/long.py", "a = 1\n" * 501, "501 lines"),
    (rules.functions_are_short, "tests/unit/f.py", "def f():\n" + "    a = 1\n" * 70, "71 lines"),
    (rules.functions_take_few_parameters, "tests/unit/f.py", "def f(a, b, c, *, d, e, f, g): ...", "7 parameters"),
    (rules.functions_take_few_parameters, "streams/logkeel/kafka/f.py", "async def f(a, b, c, d, e, f, g): ...", "7"),
    (rules.public_names_use_our_words, "streams/logkeel/kafka/utils.py", "", "says utils"),
    (rules.public_names_use_our_words, "streams/logkeel/kafka/a.py", "class JobRunner: ...", "says job"),
    (
        rules.public_names_use_our_words,
        "streams/logkeel/kafka/a.py",
        "class A:\n    def save_checkpoint(self): ...",
        "sa",
    ),
    (rules.public_names_use_our_words, "streams/logkeel/common/a.py", "", "says common"),
    (rules.libraries_stay_in_their_room, "processors/logkeel/cli/a.py", "import confluent_kafka.admin", "confluent_k"),
    (rules.libraries_stay_in_their_room, "streams/logkeel/kafka/a.py", "from rocksdict import Rdict", "rocksdict"),
    (rules.libraries_stay_in_their_room, "streams/logkeel/kafka/a.py", "def f():\n    import fastavro", "fastavro"),
    (rules.lower_roots_import_no_higher_one, "streams/logkeel/kafka/a.py", "import logkeel.cli", "logkeel.cli"),
    (rules.lower_roots_import_no_higher_one, "streams/logkeel/kafka/a.py", "from logkeel import cli", "logkeel.cli"),
    (rules.lower_roots_import_no_higher_one, "streams/logkeel/kafka/a.py", "from logkeel.records import X", "records"),
    (rules.lower_roots_import_no_higher_one, "schemas/logkeel/errors/a.py", "import logkeel.kafka", "logkeel.kafka"),
    (rules.pure_code_takes_its_surroundings_as_inputs, "processors/logkeel/runs/core/a.py", "import time", "time"),
    (
        rules.pure_code_takes_its_surroundings_as_inputs,
        "processors/logkeel/cli/a.py",
        '"""A machine. Pure: no I/O."""\n\nfrom random import random\n',
        "random.random",
    ),
    (rules.only_wiring_rooms_see_behind_the_ports, "processors/logkeel/runs/a.py", "import logkeel.tables", "tables"),
    (rules.only_wiring_rooms_see_behind_the_ports, "streams/logkeel/log/a.py", "from logkeel import kafka", "kafka"),
    (rules.roots_have_no_init, "schemas/logkeel/__init__.py", "", "schemas/logkeel/__init__.py"),
    (rules.rooms_are_typed, "streams/logkeel/new_room/__init__.py", "", "new_room"),
    (rules.readme_commands_exist, "README.md", "```sh\nmake demo\nmake test\nmake coffee\n```", "make coffee"),
    (rules.readme_commands_exist, "README.md", "```sh\nmake demo\nmake test\n```\n`make tea` too", "make tea"),
    (rules.readme_commands_exist, "README.md", "```sh\npip install x\nmake demo\nmake test\n```", "first two"),
    (rules.nothing_is_unfinished, "docs/a.md", "well\n" + "TO" + "DO: more", "docs/a.md:2"),
    (rules.nothing_is_unfinished, "tests/unit/a.py", "# FIX" + "ME", "a.py:1"),
    (rules.no_machine_paths, "docs/a.md", "see /" + "home/me/x", "docs/a.md:1"),
    (rules.no_machine_paths, "deploy/a.yaml", "path: '/" + "work/main'", "a.yaml:1"),
    (rules.no_registry_addresses, "constraints.txt", "--extra-index" + "-url x", "constraints.txt:1"),
    (rules.no_registry_addresses, "docs/a.md", "http://10." + "1.2.3:8080/x", "a.md:1"),
    (rules.no_registry_addresses, "uv.toml", "https://pypi." + "org/simple", "uv.toml:1"),
    (rules.unit_tests_do_not_sleep, "tests/unit/test_b.py", "import time\ntime.sleep(1)", "test_b.py:2"),
    (rules.unit_tests_do_not_sleep, "tests/unit/deep/test_b.py", "from time import sleep", "test_b.py:1"),
]


def planted(root: Path, files: dict[str, str]) -> Repository:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return Repository(root)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_clean_repository_passes(rule: Rule, tmp_path: Path) -> None:
    assert rule(planted(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(("rule", "path", "text", "says"), FAULTS, ids=lambda part: getattr(part, "__name__", None))
def test_a_fault_is_found(rule: Rule, path: str, text: str, says: str, tmp_path: Path) -> None:
    found = rule(planted(tmp_path, {**CLEAN, path: text}))
    assert len(found) == 1
    assert path in found[0] or path.startswith(found[0].split(" ")[0])
    assert says in found[0]


def test_every_rule_has_a_fault() -> None:
    assert {fault[0] for fault in FAULTS} == set(RULES)


def test_files_that_git_does_not_track_are_left_alone() -> None:
    root = Path(__file__).resolve().parents[2]
    assert not any(path.startswith(".venv/") for path in Repository(root).paths)


def test_at_the_limit_is_within_it(tmp_path: Path) -> None:
    lines = 'def f(self, a, b, c, d, e, f):\n    """One\n\n    two."""\n' + "    a = 1\n" * 69
    repository = planted(tmp_path, {"tests/unit/f.py": lines + "b = 1\n" * 427})
    assert rules.files_are_short(repository) == []
    assert rules.functions_are_short(repository) == []
    assert rules.functions_take_few_parameters(repository) == []


def test_words_of_names() -> None:
    assert words_of("RunHTTPJob2") == {"run", "http", "job"}
    assert words_of("database_revision") == {"database", "revision"}
