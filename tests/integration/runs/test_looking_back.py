"""A run on a real broker tells its steps, its completion and its projection the same about itself."""

from pathlib import Path

import pytest
from tests.integration.runs.application import running
from tests.integration.runs.looking_back import expected, surveys

from logkeel.client.building import input_digest, inputs_of
from logkeel.projection.projection import fold
from logkeel.records import StartRun
from logkeel.wire import encode

RUN = "run-1"


@pytest.mark.kafka
def test_steps_completion_and_history_agree_on_what_the_run_has_behind_it(kafka_bootstrap: str, tmp_path: Path) -> None:
    workflow = surveys()
    writes = inputs_of(workflow, {"topic": "sea"})
    request = StartRun(workflow="surveys", run_id=RUN, request_id="r", inputs=writes, input_digest=input_digest(writes))
    with running(kafka_bootstrap, tmp_path, [workflow]) as application:
        application.send(encode(request), key=RUN)
        completion = application.completion(RUN)
        history = application.awaited(
            lambda: found if (found := application.history(RUN))[-1:] and found[-1].status else None
        )
    assert completion.status == "succeeded"
    result = workflow.result(completion.result)
    assert result == expected(result)
    view = fold(history)
    assert view.completed_steps == result["completed_steps"]
    assert [(each.path, each.attempt) for each in view.errors] == [("parallel/look_left", 1)]
    assert view.schema_version == 3
