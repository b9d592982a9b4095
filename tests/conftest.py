"""Shared by all tests; the broker fixtures come from the pytest plugin that logkeel ships (`logkeel.testing`).

Laws are tried on the same examples in every run; `--hypothesis-profile=fresh` tries new ones and prints how to repeat
a failure.
"""

from hypothesis import settings

settings.register_profile("seeded", derandomize=True, deadline=None)
settings.register_profile("fresh", deadline=None, print_blob=True)
settings.load_profile("seeded")
