"""The templates of mails and pages. The only importer of jinja2; what is HTML or SVG is escaped by itself.

A room has its templates in its own folder `templates`; those in this room's are there for all (`entries.html`).
"""

from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("logkeel.approvals")]),
        autoescape=select_autoescape(("html", "svg")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
    )


def render(package: str, template: str, **values: Any) -> str:
    """The text of a template of a package."""
    return _environment(package).get_template(template).render(**values)
