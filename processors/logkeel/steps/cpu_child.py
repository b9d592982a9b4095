"""The process that `cpu=True` steps run in: one call after the other, as its worker says. A shell file.

It ends with its worker: when the pipe is closed, and by a thread that waits for the worker's end while a call computes.
"""

import importlib
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from logkeel.errors import StepSignatureError
from logkeel.workflow.steps import Step


class Call(NamedTuple):
    """What is to be called: a function by its place, as the step's author wrote it."""

    module: str
    name: str
    arguments: dict[str, Any]


class Answer(NamedTuple):
    """What it returned or raised; an error that cannot be pickled comes as its text."""

    result: Any = None
    error: BaseException | None = None
    stack: str = ""


def serve(calls: Connection) -> None:
    """Run until the pipe ends."""
    # The worker drains and then kills; who sends a signal to all of a group or unit means the worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    while True:
        try:
            received = calls.recv_bytes()
        except EOFError:
            return
        calls.send_bytes(answer_to(received))


def answer_to(received: bytes) -> bytes:
    """A pickled `Answer` to a pickled `Call`."""
    try:
        call: Call = pickle.loads(received)  # noqa: S301 - from our own worker
        result = function_at(call.module, call.name)(**call.arguments)
        return _returned(call.name, result)
    except BaseException as error:  # noqa: BLE001 - whatever the author's code raises is an answer
        return _failed(error)


def function_at(module: str, name: str) -> Callable[..., Any]:
    """The author's function; a decorated step stands in its place and keeps it."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found.function if isinstance(found, Step) else found
    return function


def _returned(name: str, result: Any) -> bytes:
    try:
        return pickle.dumps(Answer(result=result))
    except Exception as error:  # whatever a value's own code raises
        message = f"the result of {name} cannot be sent from its process: {error}; cpu steps return plain data"
        raise StepSignatureError(message, step=name) from error


def _failed(error: BaseException) -> bytes:
    stack = "".join(traceback.format_exception(error))
    try:
        answer = pickle.dumps(Answer(error=error, stack=stack))
        pickle.loads(answer)  # noqa: S301 - our own bytes: some errors can be pickled, but not made again
    except Exception:  # noqa: BLE001 - of whatever kind, the text is left
        plain = RuntimeError(f"{type(error).__qualname__}: {error}")
        return pickle.dumps(Answer(error=plain, stack=stack))
    return answer


def _end_with_the_worker() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
