"""Pods of the rendered manifests as processes: updated, scaled, lost and woken under load, with the ledger as judge."""

from pathlib import Path

import pytest
from tests.pods.site import Site

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def test_updates_scaling_and_a_lost_volume_lose_nothing(kafka_bootstrap: str, tmp_path: Path) -> None:
    lines: list[str] = []
    site = Site(kafka_bootstrap, tmp_path, "pods", lines.append)
    engines, workers, on = site.engines, site.workers, site.meanwhile
    try:
        engines.scale(2, on)
        workers.scale(1, on)
        site.keep(20)
        site.scene("update of the engines", lambda: engines.update(on))
        site.scene("update of the workers", lambda: workers.update(on))
        site.scene("a volume is lost", lambda: engines.lose_machine(0, on, volume_too=True))
        site.scene("one engine", lambda: engines.scale(1, on))
        site.scene("no workers, and back", site.sleep_and_wake)
        report = site.finish()
    finally:
        site.close()
    assert report.faults == [], "\n".join([*lines, report.text()])
    assert report.endings >= 7
    assert len(report.woke_s) == 1
    assert report.stores > 0
