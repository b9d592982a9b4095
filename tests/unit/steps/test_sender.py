"""Answers on their way: together within a round of the loop, in order, and never behind code that blocks it."""

from collections.abc import Callable
from contextlib import closing

from tests.unit.steps.commands import command

from logkeel.log import TopicPartition, TopicPlan
from logkeel.records import StepHeartbeat
from logkeel.simulation import SimulatedClock, SimulatedCluster
from logkeel.steps.machine.messages import Acknowledged, key_of
from logkeel.steps.sender import AnswerSender
from logkeel.wire import decode_as

TOPIC = "step-results"
WAIT_S = 1.0


class Loop:
    """What an event loop is to the sender: it calls back when its round is over."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.has_ended = False

    def soon(self, function: Callable[[], None]) -> None:
        """Keep it for the end of the round."""
        if self.has_ended:
            raise RuntimeError("Event loop is closed")
        self.waiting.append(function)

    def end_round(self) -> None:
        """Call what was asked for."""
        waiting, self.waiting = self.waiting, []
        for function in waiting:
            function()


class Site:
    """A sender on a simulated log."""

    def __init__(self) -> None:
        self.client = SimulatedCluster(SimulatedClock(1_700_000_000_000)).client()
        with closing(self.client.admin()) as admin:
            admin.create_topics([TopicPlan(TOPIC, 1, 1, {})])
        self.loop = Loop()
        self.sender = AnswerSender(self.client.producer(), TOPIC)

    def say(self, number: int, details: str) -> None:
        """A heartbeat of step `number`."""
        told = command(number)
        beat = StepHeartbeat(identity=told.identity, holder="w", started_at_ms=1, details=details.encode())
        self.sender.send(told, beat)

    def sent(self) -> list[str]:
        """The details of what is on the log."""
        with closing(self.client.reader("read_committed")) as reader:
            reader.assign({TopicPartition(TOPIC, 0): 0})
            answers = [decode_as(each.value or b"", StepHeartbeat) for each in reader.fetch(100, 0.0).records]
        return [(answer.details or b"").decode() for answer in answers]


def test_nothing_is_gathered_unless_somebody_calls_back() -> None:
    site = Site()
    site.say(1, "a")
    assert site.sent() == ["a"]


def test_what_is_said_in_one_round_leaves_at_its_end_in_order() -> None:
    site = Site()
    site.sender.gather(site.loop.soon)
    for number in range(5):
        site.say(number % 2, str(number))
    assert site.sent() == []
    assert len(site.loop.waiting) == 1, "asked for once"
    site.loop.end_round()
    assert site.sent() == ["0", "1", "2", "3", "4"]
    site.say(1, "next round")
    site.loop.end_round()
    assert site.sent()[-1] == "next round"
    assert len(site.sender.flush(WAIT_S)) == 6


def test_the_polling_thread_sends_what_a_blocked_loop_holds_up() -> None:
    site = Site()
    site.sender.gather(site.loop.soon)
    site.say(1, "a")
    acknowledged = site.sender.poll()
    assert site.sent() == ["a"]
    site.say(1, "b")
    acknowledged += site.sender.flush(WAIT_S)
    assert acknowledged == [Acknowledged(key_of(command(1).identity), final=False)] * 2
    assert site.sent() == ["a", "b"]
    site.loop.end_round()
    assert site.sent() == ["a", "b"]


def test_a_loop_that_has_ended_holds_up_nothing() -> None:
    site = Site()
    site.sender.gather(site.loop.soon)
    site.loop.has_ended = True
    site.say(1, "a")
    assert site.sent() == ["a"]
