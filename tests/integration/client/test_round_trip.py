"""The client against a running engine and worker, on a real broker."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from tests.integration.client.conftest import Application
from tests.integration.client.greetings import greet

from logkeel.client import AsyncClient, Client
from logkeel.errors import InvalidInput, RequestWasRejected, RunFailed, WaitTimedOut
from logkeel.kafka import KafkaLogClient

pytestmark = pytest.mark.kafka

WAIT_S = 100.0


@pytest.fixture
def client(application: Application) -> Iterator[Client]:
    with Client(KafkaLogClient(application.bootstrap), prefix=application.prefix) as client:
        yield client


def test_a_run_by_object_has_a_typed_result_and_by_name_a_plain_one(client: Client) -> None:
    assert client.start(greet, name="Ada").result(WAIT_S) == "Dear Ada"
    assert client.start("greet", name="Bob").result(WAIT_S) == {"letter": "Dear Bob"}


def test_the_same_start_twice_is_one_run(client: Client) -> None:
    run_id = uuid4().hex
    first = client.start(greet, run_id=run_id, name="Ada").wait(WAIT_S)
    again = client.start("greet", run_id=run_id, name="Ada").wait(WAIT_S)
    assert (first.reannounced, again.reannounced) == (False, True)
    assert (first.incarnation, first.revision) == (again.incarnation, again.revision)


def test_the_same_run_id_with_another_input_is_rejected(client: Client) -> None:
    first = client.start(greet, name="Ada")
    first.wait(WAIT_S)
    with pytest.raises(RequestWasRejected) as rejected:
        client.start(greet, run_id=first.run_id, name="Bob").wait(WAIT_S)
    assert rejected.value.rejection == "run_id_taken"


def test_a_run_that_somebody_else_started_can_be_awaited(client: Client, application: Application) -> None:
    handle = client.start(greet, name="Ada", routing_key="customer-7")
    with Client(KafkaLogClient(application.bootstrap), prefix=application.prefix) as other:
        assert other.wait(handle.run_id, WAIT_S, routing_key="customer-7").status == "succeeded"


def test_an_input_that_does_not_fit_is_refused_here_or_ends_the_run_there(client: Client) -> None:
    with pytest.raises(InvalidInput):
        client.start(greet, nmae="Ada")
    assert client.start("greet", nmae="Ada").wait(WAIT_S).status == "invalid_input"


def test_a_workflow_that_nobody_published_keeps_the_caller_waiting_until_it_is_cut_off(client: Client) -> None:
    with pytest.raises(WaitTimedOut, match="it goes on"):
        client.start("unheard-of").wait(0.5)


def test_a_step_in_doubt_waits_for_a_human_who_says_it_did(client: Client) -> None:
    handle = client.start("risky", name="Ada")
    with pytest.raises(WaitTimedOut):
        handle.wait(2.0)
    client.resolve(handle.run_id, "send", "did", result={"letter": "it was sent"})
    assert handle.result(WAIT_S) == {"letter": "it was sent"}


def test_a_run_that_waits_can_be_cancelled(client: Client) -> None:
    handle = client.start("risky", name="Ada")
    client.cancel(handle.run_id, reason="no longer wanted")
    with pytest.raises(RunFailed) as failed:
        handle.result(WAIT_S)
    assert failed.value.status == "cancelled"


async def test_many_coroutines_wait_at_once(application: Application) -> None:
    async with AsyncClient(KafkaLogClient(application.bootstrap), prefix=application.prefix) as client:
        handles = await asyncio.gather(*(client.start(greet, name=f"n{number}") for number in range(100)))
        letters = await asyncio.gather(*(handle.result(WAIT_S) for handle in handles))
    assert letters == [f"Dear n{number}" for number in range(100)]


def test_many_threads_share_a_client_and_each_hears_of_its_own_request(client: Client) -> None:
    def ask(number: int) -> str:
        return client.start(greet, run_id=f"{uuid4().hex}-{number}", name=f"Ada {number}").run_id

    with ThreadPoolExecutor(16) as threads:
        asked = list(threads.map(ask, range(64)))
    told = {run_id: client.wait(run_id, WAIT_S) for run_id in asked}
    assert {completed.status for completed in told.values()} == {"succeeded"}
    assert [run_id.rsplit("-", 1)[1] for run_id in told] == [str(number) for number in range(64)]
