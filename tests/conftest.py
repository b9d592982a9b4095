"""Shared by all tests; the broker fixtures come from the pytest plugin that logkeel ships (`logkeel.testing`).

Behind a test that met a broker its garbage is collected here, on the main thread. Whoever allocates collects: left to
itself it ends on a thread of some client too, and the clients in it, for which that client's answers then wait (14 s of
it failed a test).

Laws are tried on the same examples in every run; `--hypothesis-profile=fresh` tries new ones and prints how to repeat
a failure.
"""

import gc

import pytest
from hypothesis import settings

settings.register_profile("seeded", derandomize=True, deadline=None)
settings.register_profile("fresh", deadline=None, print_blob=True)
settings.load_profile("seeded")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    if item.get_closest_marker("kafka") is not None:
        gc.collect()
