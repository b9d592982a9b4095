"""Every error of logkeel, by who reacts to it. The tree is drawn in `logkeel.errors.tree`."""

from logkeel.errors.tree import *  # noqa: F403
from logkeel.errors.tree import __all__ as __all__
