"""Shared by all tests; the broker fixtures come from the pytest plugin that logkeel ships (`logkeel.testing`)."""
