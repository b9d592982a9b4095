"""Finds the workflows a command names: `module:workflow`, `module`, or `path/to/file.py[:workflow]`."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from logkeel.errors import ConfigInvalid
from logkeel.workflow import Workflow


def load_workflows(target: str) -> list[Workflow]:  # type: ignore[type-arg]  # any state class
    """The workflows in `target`, and those that they start as child runs, however deep.

    Raises `ConfigInvalid` when there is no such module, or no workflow in it.
    """
    workflows = named_workflows(target)
    known = [*workflows, *(child for workflow in workflows for child in workflow.children.values())]
    return list({id(workflow): workflow for workflow in known}.values())


def named_workflows(target: str) -> list[Workflow]:  # type: ignore[type-arg]  # any state class
    """The workflows in `target`, and no others. Raises as `load_workflows`."""
    place, _, name = target.partition(":")
    module = _load_module(place)
    if name:
        found = getattr(module, name, None)
        if not isinstance(found, Workflow):
            raise ConfigInvalid(f"{place} has no workflow named {name!r}; it has: {_names(module)}", target=target)
        return [found]
    workflows = [value for value in vars(module).values() if isinstance(value, Workflow)]
    if not workflows:
        raise ConfigInvalid(f"{place} holds no workflow; make one with logkeel.workflow.Workflow(...)", target=target)
    return list({id(workflow): workflow for workflow in workflows}.values())


def _names(module: ModuleType) -> str:
    return ", ".join(name for name, value in vars(module).items() if isinstance(value, Workflow)) or "none"


def _load_module(place: str) -> ModuleType:
    if place.endswith(".py"):
        return _load_file(Path(place))
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise ConfigInvalid(f"there is no module {place!r} here; run from its folder or install it") from error
        raise


def _load_file(path: Path) -> ModuleType:
    if not path.exists():
        raise ConfigInvalid(f"{path} does not exist", target=str(path))
    sys.path.insert(0, str(path.resolve().parent))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ConfigInvalid(f"{path} is not a Python file", target=str(path))
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module
