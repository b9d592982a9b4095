"""A site per test."""

from pathlib import Path

import pytest
from tests.integration.recovery.site import Site


@pytest.fixture
def site(kafka_bootstrap: str, tmp_path: Path) -> Site:
    """Topics of its own."""
    return Site(kafka_bootstrap, tmp_path)
