"""Waits for what the client's own threads say of a request. No branch of business in here, and no request."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaException

from logkeel.errors import LogTimeout
from logkeel.kafka.classification import call_error, error_of
from logkeel.kafka.rights import Right

REQUEST_TIMEOUT_S = 10.0
"""After so long the client itself ends a request, and says so."""

ANSWER_TIMEOUT_S = REQUEST_TIMEOUT_S + 50.0
"""So long for the client to say anything. Its thread may be late: Python may collect garbage on it (a pass of 19 s was
seen), and other clients that end in one are waited for."""

COORDINATOR_ANSWER_TIMEOUT_S = REQUEST_TIMEOUT_S + 5.0
"""The same of requests that the client does not end by itself: there, all that limits them."""

STANDSTILL_S = 3.0
"""A request that was ended so much later than agreed was ended by a process that stood still, not by a silent broker:
a loaded machine is late by fractions of a second."""

T = TypeVar("T")


def answer(future: "Future[T]", doing: str, *, limit_s: float = ANSWER_TIMEOUT_S) -> T:
    """What the client says. Raises its `KafkaException`, and `LogTimeout` if it says nothing in `limit_s` seconds."""
    try:
        return future.result(limit_s)
    except TimeoutError as error:
        raise LogTimeout(f"{doing} was not answered in {limit_s:.0f} s") from error


def call(future: "Future[T]", doing: str, right: Right) -> T:
    """What the client says; its errors as ours (`call_error`), with the right that the request needs."""
    try:
        return answer(future, doing)
    except KafkaException as exception:
        raise call_error(error_of(exception), doing=doing, rights=(right,)) from exception


def past_a_standstill(request: Callable[[], T]) -> T:
    """What one request brings, which may be made twice; made again, once, if it timed out over a standstill.

    While a process is stopped (SIGSTOP, a frozen cgroup, a machine that is moved) its requests run out of time without
    a broker's fault. Raises what the request raises; `LogTimeout` of one whose time was its own as it is.
    """
    begun_s = time.monotonic()
    try:
        return request()
    except LogTimeout:
        if time.monotonic() - begun_s < REQUEST_TIMEOUT_S + STANDSTILL_S:
            raise
    return request()
