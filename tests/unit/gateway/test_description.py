"""The description (OpenAPI 3.1) is what the gateway does: schemathesis calls every operation with what fits and what
does not, a bounded number of times.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, site
from tests.unit.runs.scripts import flow_of, plan_of, step_block

EXAMPLES = 15
PLAIN = ("livez", "readyz", "metrics")
"""They take nothing that could be wrong."""

OPERATIONS = (
    *("list_runs", "start_run", "show_run", "show_state", "show_history", "follow_run", "fork_run", "signal_run"),
    *("cancel_run", "pause_run", "resume_run", "retry_run", "resolve_step", "list_approvals", "show_approval"),
    *("answer_approval", "count_runs", "list_workflows", "show_request", "livez", "readyz", "metrics"),
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, TestClient]]:
    with site(tmp_path_factory.mktemp("file"), hosts="testserver,127.0.0.1", rate_per_s=0.0, max_wait_s=0.0) as (
        made,
        client,
    ):
        made.engine.publish(plan_of(flow_of(step_block("a"))))
        client.post("/v1/runs", json={"workflow": "work", "input": {"topic": "kafka"}, "run_id": "r"})
        made.settle()
        made.finish()
        yield made, client


@pytest.fixture(scope="module")
def described(opened: tuple[Site, TestClient]) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", opened[1].app)


@pytest.mark.parametrize(
    ("operation_id", "mode"),
    [(each, mode) for each in OPERATIONS for mode in GenerationMode if not (each in PLAIN and mode.is_negative)],
)
def test_the_gateway_does_what_its_description_says(described: Any, operation_id: str, mode: GenerationMode) -> None:
    operation = described.find_operation_by_id(operation_id)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        _call(case, mode)

    call()


def _call(case: Any, mode: GenerationMode) -> None:
    """Words that only a gateway can give, cursors and offsets, are left out where everything has to be accepted."""
    if mode.is_positive:
        for name in ("cursor", "min_offset"):
            (case.query or {}).pop(name, None)
        (case.headers or {}).pop("Last-Event-ID", None)
    answer = case.call()
    is_behind = answer.status_code == 503 and answer.json()["code"] == "read_model_behind"
    case.validate_response(answer, excluded_checks=[not_a_server_error] if is_behind else [])


def test_it_is_openapi_3_1_and_describes_every_route(opened: tuple[Site, TestClient]) -> None:
    document = opened[1].get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    found = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
    assert {
        ("POST", "/v1/runs"),
        ("GET", "/v1/runs"),
        ("GET", "/v1/runs/{run_id}"),
        ("GET", "/v1/runs/{run_id}/state"),
        ("GET", "/v1/runs/{run_id}/history"),
        ("GET", "/v1/runs/{run_id}/events"),
        *(
            ("POST", f"/v1/runs/{{run_id}}/{verb}")
            for verb in ("signals", "cancel", "pause", "resume", "retry", "fork")
        ),
        ("GET", "/v1/approvals"),
        ("GET", "/v1/approvals/{run_id}/{path}"),
        ("POST", "/v1/approvals/{run_id}/{path}/answer"),
        ("GET", "/v1/workflows"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    } <= found
    for each in document["paths"].values():
        for operation in each.values():
            assert operation["operationId"] in OPERATIONS
            assert "application/problem+json" in operation["responses"]["404"]["content"]
