"""Collected where there is a browser to walk with: `make browser` says which one."""

import os
from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("playwright") and os.environ.get("LOGKEEL_BROWSER") else ["test_*.py"]
