"""Pages in front of a notifier on the simulated cluster."""

from typing import Any

from starlette.routing import BaseRoute
from starlette.testclient import TestClient
from tests.unit.notify.world import NAMES, World

from logkeel.client import Answer, Client
from logkeel.errors import LogUnavailable
from logkeel.log import read_topic
from logkeel.notify.book import CaseBook
from logkeel.notify.pages import AnswerPages, Links, application
from logkeel.notify.replies import Forms
from logkeel.notify.values import ShownValues
from logkeel.records import AnswerQuestion
from logkeel.wire import decode_as

KEYS = ("a secret of the test",)
DAY_MS = 24 * 3_600_000


class Site:
    """A question that was asked by mail, and the pages that its link leads to."""

    def __init__(self, *, forms: Forms | None = None, **facts: Any) -> None:
        self.world = World()
        clock = self.world.cluster.clock
        self.links = Links("https://x.example.com/", KEYS, 7 * DAY_MS, clock.now_ms)
        self.world.links = self.links
        self.world.asks(**facts)
        self.world.run()
        self.client = Client(self.world.client, prefix="sim")
        self.book = CaseBook(self.world.client, NAMES.notifier_state)
        self.refresh()
        values = ShownValues(self.world.client, NAMES.run_events)
        self.failing = False
        self.serve(AnswerPages(self.links, self.book, values.read, self.send, forms).routes())

    def serve(self, routes: list[BaseRoute]) -> None:
        """These routes instead of the pages."""
        self.http = TestClient(application(routes, lambda: True), follow_redirects=False)

    def send(self, answer: Answer, request_id: str, routing_key: str | None) -> None:
        if self.failing:
            raise LogUnavailable("no broker answers")
        self.client.answer(answer, request_id=request_id, routing_key=routing_key)

    def refresh(self) -> None:
        """Read what the notifier has written."""
        self.book.poll(0.0)

    def path(self, target: str = "mail") -> str:
        """The link that somebody got, without its host."""
        message = next(each for each in self.world.postbox.messages if each.delivery.channel == target)
        assert message.link is not None
        return message.link.removeprefix("https://x.example.com")

    def answers(self) -> list[AnswerQuestion]:
        """What was sent to the engine."""
        records = read_topic(self.world.client, NAMES.run_requests)
        return [decode_as(record.value or b"", AnswerQuestion) for record in records]
