"""Workers of two state directories on one host: both are members, and neither takes the other one for dead."""

import threading
from pathlib import Path

import pytest
from tests.integration.runs.application import running
from tests.integration.steps.payments import entries, payments

from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.steps import StepWorker, publish_definitions

RUNS = 20


@pytest.mark.kafka
def test_both_work_and_nobody_is_fenced(kafka_bootstrap: str, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    workflow = payments("ONCE", ledger)
    with running(kafka_bootstrap, tmp_path, []) as application:
        publish_definitions(application.client, application.names, [workflow])
        stop, failures = threading.Event(), list[BaseException]()

        def work(worker: StepWorker) -> None:
            try:
                worker.run(stop)
            except Exception as error:  # noqa: BLE001 - told to the test's thread
                failures.append(error)

        names, clock = application.names, SystemClock()
        workers = [
            StepWorker(
                KafkaLogClient(kafka_bootstrap), [workflow], names=names, clock=clock, state_dir=tmp_path / place
            )
            for place in ("one", "two")
        ]
        threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        try:
            admin, group = application.client.admin(), names.worker_group()

            def shared() -> bool | None:
                members = admin.group_members(group)
                return len([member for member in members if member.assignment]) == 2 or None

            application.awaited(shared)
            for number in range(RUNS):
                request = {"workflow": "payments", "run_id": f"r{number}", "input": {"amount": number}}
                application.send({**request, "request_id": f"r{number}"}, key=f"r{number}")
            for number in range(RUNS):
                assert application.completion(f"r{number}").status == "succeeded"
            assert {member.instance_id for member in admin.group_members(group)} == {w.holder.slot for w in workers}
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
    assert failures == []
    assert len(entries(ledger)) == RUNS
