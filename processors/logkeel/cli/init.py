"""`logkeel init`: a folder with a workflow, its test, and what to type next."""

from pathlib import Path
from typing import Annotated, Final

import typer

from logkeel.cli.output import say
from logkeel.errors import ConfigInvalid

app = typer.Typer()

FILES: Final = ("app.py", "test_app.py")
TEMPLATES: Final = Path(__file__).parent / "template"


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
) -> None:
    """Write a small workflow and its test into a folder. Nothing that is there is overwritten."""
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        raise ConfigInvalid(f"{folder.resolve()} has {' and '.join(there)} already: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text((TEMPLATES / f"{name}.txt").read_text(encoding="utf-8"))
        typer.echo(folder / name)
    go = "" if folder.resolve() == Path.cwd() else f"cd {folder}; "
    say(f"next: {go}pytest; logkeel dev app.py")
