"""The ledger behind a proxy that loses, delays and cuts what is said about commits: in doubt, and still right (P5, P6).

Each way ends differently: the commit is on the log and nobody was told, it never arrived, or it arrives after its
producer was replaced.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ledger.world import World

from logkeel.broker import EmbeddedBroker
from logkeel.testing.frames import END_TXN
from logkeel.testing.proxy import TcpProxy

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

COMMIT_TIMEOUT_MS = 1_500
LATE_S = 4.0
"""Beyond the commit's time-out and the making of a new producer."""

ROUNDS = 2
IN_DOUBT = "error transaction in_doubt"


def committed_but_the_answer_is_lost(proxy: TcpProxy) -> None:
    proxy.drop_response(END_TXN)


def committed_but_the_answer_is_late(proxy: TcpProxy) -> None:
    proxy.delay_response(END_TXN, seconds=LATE_S)


def asked_too_late(proxy: TcpProxy) -> None:
    proxy.delay_request(END_TXN, seconds=LATE_S)


def never_asked(proxy: TcpProxy) -> None:
    proxy.cut_before_request(END_TXN, times=None)


WAYS = (committed_but_the_answer_is_lost, committed_but_the_answer_is_late, asked_too_late, never_asked)


def test_commits_in_doubt_lose_and_double_nothing(
    embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path
) -> None:
    with TcpProxy() as proxy:
        broker = embedded_broker(advertised=proxy.address)
        proxy.target = broker.listener
        world = World(proxy.address, tmp_path, commit_timeout_ms=COMMIT_TIMEOUT_MS)
        try:
            world.processes.start(0)
            in_doubt = [doubt(world, proxy, way, seed) for seed, way in enumerate(WAYS * ROUNDS)]
            world.judge()
        finally:
            world.processes.end()
        assert all(in_doubt)
        print(f"commits in doubt: {sum(in_doubt)}")  # noqa: T201 - the figure, with pytest -s
        world.judge_stores(0)


def doubt(world: World, proxy: TcpProxy, way: Callable[[TcpProxy], None], seed: int) -> int:
    """Disturb the next commit until the process says that it is in doubt, heal, and see it commit again."""
    before = world.processes.count(0, IN_DOUBT)
    way(proxy)
    world.post(200, seed=seed)
    world.until(lambda: world.processes.count(0, IN_DOUBT) > before, f"{way.__name__}: no commit in doubt")
    proxy.heal()
    world.post(100, seed=100 + seed)
    world.wait_for_batches(0, 1)
    return world.processes.count(0, IN_DOUBT) - before
