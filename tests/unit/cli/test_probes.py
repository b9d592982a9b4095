"""Probes say what the loop keeps, tell its states apart, and are no sign of life themselves."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from logkeel.cli.grace import DRAIN_S, engine_grace_s, worker_grace_s
from logkeel.cli.probes import LIVE, READY, STARTED, Health, JointHealth, Probed, serve_probes
from logkeel.cli.settings import Settings
from logkeel.cli.slots import slot_of
from logkeel.cli.watchdog import Beats
from logkeel.errors import ConfigInvalid, PortTaken
from logkeel.exactly_once import LoopSettings


@contextmanager
def answering(health: Probed) -> Iterator[Callable[[str], tuple[int, str]]]:
    server = serve_probes(health, "127.0.0.1", 0)
    host, port = server.server_address[:2]

    def ask(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{host!s}:{port}{path}", timeout=10) as answer:
                return answer.status, json.load(answer)["why"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error).get("why", "")

    try:
        yield ask
    finally:
        server.shutdown()
        server.server_close()


def test_a_process_starts_restores_runs_and_ends() -> None:
    beats, ready = Beats(), threading.Event()
    with answering(Health(beats, 60.0, ready.is_set)) as ask:
        assert [ask(path)[0] for path in (LIVE, READY, STARTED)] == [200, 503, 503]
        ready.set()
        assert [ask(path)[0] for path in (LIVE, READY, STARTED)] == [200, 200, 200]
        ready.clear()  # a rebalance
        assert [ask(path)[0] for path in (LIVE, READY, STARTED)] == [200, 503, 200]
        ready.set()
        beats.set()
        assert ask(READY) == (503, "the process is ending")
        assert ask(LIVE)[0] == 200
        assert ask("/metrics")[0] == 404
    assert beats.beat_s is None, "asking is no sign of life"


def test_a_loop_that_stands_still_is_not_live() -> None:
    beats = Beats()
    health = Health(beats, 60.0, lambda: True)
    assert health.answer(LIVE, 1_000_000.0) == (True, "the loop turned 0.0 s ago")  # it has not begun
    beats.is_set()
    assert beats.beat_s is not None
    assert health.answer(LIVE, beats.beat_s + 59.0)[0]
    assert health.answer(LIVE, beats.beat_s + 61.0) == (False, "the loop turned 61.0 s ago")


def test_several_loops_are_ready_when_each_is_and_the_one_that_is_not_is_named() -> None:
    engine, worker, ending = threading.Event(), threading.Event(), threading.Event()
    loops = {"engine": Health(Beats(), 60.0, engine.is_set), "worker slow": Health(Beats(), 60.0, worker.is_set)}
    with answering(JointHealth(loops, ending.is_set)) as ask:
        engine.set()
        assert [ask(path)[0] for path in (LIVE, READY, STARTED)] == [200, 503, 503]
        assert ask(READY)[1] == "worker slow: partitions are not all assigned and restored"
        engine.clear()  # each was ready once, though never both at a time
        worker.set()
        assert [ask(path)[0] for path in (READY, STARTED)] == [503, 200]
        engine.set()
        assert ask(READY)[0] == 200
        ending.set()  # before the loops hear of it: workers are told to end first, the engine last
        assert ask(READY) == (503, "the process is ending")
        assert [ask(path)[0] for path in (LIVE, STARTED)] == [200, 200]


def test_one_loop_that_stands_still_is_enough() -> None:
    turning, standing = Beats(), Beats()
    standing.is_set()
    assert standing.beat_s is not None
    turning.beat_s = standing.beat_s + 61.0
    loops = {"engine": Health(turning, 60.0, lambda: True), "worker": Health(standing, 60.0, lambda: True)}
    joint = JointHealth(loops, lambda: False)
    assert joint.answer(LIVE, standing.beat_s + 61.0) == (False, "worker: the loop turned 61.0 s ago")


def test_a_port_that_is_taken_is_said_so() -> None:
    health = Health(Beats(), 1.0, lambda: True)
    server = serve_probes(health, "127.0.0.1", 0)
    try:
        with pytest.raises(PortTaken, match="--probe-port"):
            serve_probes(health, "127.0.0.1", server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def test_a_pod_has_its_ordinals_slot() -> None:
    assert slot_of(Settings()) is None
    assert slot_of(Settings(pod_name="logkeel-engine-12")) == 12
    assert slot_of(Settings(pod_name="logkeel-engine-12", slot=3)) == 3
    with pytest.raises(ConfigInvalid, match="no ordinal"):
        slot_of(Settings(pod_name="logkeel-engine-7d9f-x2v4k"))


def test_a_grace_period_outlasts_what_the_ending_is_made_of() -> None:
    assert worker_grace_s() > DRAIN_S + 15
    assert worker_grace_s(60.0) - worker_grace_s(30.0) == 30
    settings = LoopSettings(application="a", group_id="g")
    assert engine_grace_s(settings) * 1_000 > settings.commit_timeout_ms + 5_000
