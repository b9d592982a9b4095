"""What a notifier needs before it starts, and the server of its pages."""

import httpx
import pytest
from tests.ports import free_port
from tests.unit.notify.world import NAMES, World

from logkeel.errors import ConfigInvalid, TopicMissing
from logkeel.log import TopicPlan
from logkeel.notify.config import NotifyConfig
from logkeel.notify.service import Address, Server, make_links, require_topics
from logkeel.simulation import SimulatedCluster

PAGES = NotifyConfig(public_url="https://x.example.com")
LONG = "0123456789abcdef"


@pytest.mark.parametrize("keys", ["", "short", f"{LONG} short"])
def test_a_key_that_can_be_guessed_is_refused(keys: str) -> None:
    with pytest.raises(ConfigInvalid, match="LOGKEEL_NOTIFY_KEY has to have at least 16"):
        make_links(PAGES, {"LOGKEEL_NOTIFY_KEY": keys})


def test_links_are_made_where_there_are_pages() -> None:
    assert make_links(NotifyConfig(), {}) is None
    links = make_links(PAGES, {"LOGKEEL_NOTIFY_KEY": f"{LONG} {LONG}2"})
    assert links is not None
    assert links.keys == (LONG, f"{LONG}2")


def test_topics_have_to_be_there() -> None:
    client = SimulatedCluster().client()
    client.admin().create_topics([TopicPlan(NAMES.run_events, 1)])
    with pytest.raises(TopicMissing, match=r"sim\.notifier-state.*logkeel topics apply --prefix sim"):
        require_topics(client, NAMES)
    require_topics(World().client, NAMES)


def test_the_server_answers_until_it_is_stopped() -> None:
    port = free_port()
    server = Server(Address(host="127.0.0.1", port=port), [], lambda: True)
    with pytest.raises(ConfigInvalid, match="cannot be served"):
        Server(Address(host="127.0.0.1", port=port), [], lambda: True)
    server.start()
    assert httpx.get(f"http://127.0.0.1:{port}/readyz").text == "ok"
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/readyz")
