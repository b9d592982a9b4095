"""An ordinary end repeats nothing: what is under way is finished and recorded first."""

import threading

from tests.unit.notify.world import NAMES, ROUTES, SETTINGS, World

from logkeel.exactly_once import LoopPorts, TransactionalLoop
from logkeel.notify.cases import Delivered, Outcome
from logkeel.notify.channels import Message
from logkeel.notify.outbox import Outbox
from logkeel.notify.processor import NotifyProcessor
from logkeel.notify.schedule import DRAIN_S
from logkeel.notify.service import Draining
from logkeel.notify.values import ShownValues
from logkeel.simulation import SimulatedClient


class Slow:
    """A channel that has the message and does not answer until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.has = threading.Event()
        self.got: list[str] = []

    def deliver(self, message: Message) -> Outcome:
        """Wait."""
        self.got.append(message.delivery.key)
        self.has.set()
        assert self.may.wait(60)
        return Delivered()


def started(world: World, process: SimulatedClient, channel: Slow) -> tuple[TransactionalLoop, Outbox]:
    """A notifier that sends on threads."""
    outbox = Outbox({"mail": channel, "hook": channel}, ShownValues(process, NAMES.run_events), threads=2)
    processor = NotifyProcessor(NAMES, ROUTES, outbox.send)
    ports = LoopPorts(process, world.cluster.clock, world.stores)
    loop = TransactionalLoop(ports, processor, SETTINGS, side_source=outbox)
    loop.start()
    return loop, outbox


def turns(world: World, loop: TransactionalLoop, count: int = 40) -> None:
    for _ in range(count):
        if not loop.turn():
            world.cluster.advance(100)


def test_a_notifier_ends_once_what_it_sent_is_recorded() -> None:
    world, channel = World(), Slow()
    loop, outbox = started(world, world.cluster.client(), channel)
    world.asks()
    turns(world, loop)
    assert channel.has.wait(60)
    stop = threading.Event()
    draining = Draining(stop, outbox, now_s=lambda: 0.0)
    assert not draining.is_set()
    stop.set()
    assert not draining.is_set()
    world.asks("late")
    turns(world, loop)
    assert not draining.is_set()
    channel.may.set()
    while not draining.is_set():
        turns(world, loop, 1)
    loop.close()
    outbox.close()
    assert {each.state for each in world.cases()["r approve"].deliveries} == {"delivered"}
    assert {each.state for each in world.cases()["late approve"].deliveries} == {"claimed"}
    world.run()
    assert len(set(channel.got)) == 2
    assert {message.case.run_id for message in world.postbox.messages} == {"late"}


def test_it_does_not_wait_for_ever() -> None:
    world, channel = World(), Slow()
    loop, outbox = started(world, world.cluster.client(), channel)
    world.asks()
    turns(world, loop)
    stop, now_s = threading.Event(), 0.0
    draining = Draining(stop, outbox, now_s=lambda: now_s)
    stop.set()
    assert not draining.is_set()
    now_s = DRAIN_S
    assert draining.is_set()
    channel.may.set()
    loop.close()
    outbox.close()


def test_a_notifier_that_wakes_up_as_a_zombie_sends_nothing() -> None:
    world, channel = World(), Slow()
    channel.may.set()
    process = world.cluster.client()
    loop, outbox = started(world, process, channel)
    turns(world, loop)
    world.asks()
    process.freeze()
    world.cluster.advance(60_000)
    world.stores = type(world.stores)()
    assert world.run(turns=200)
    assert len(world.postbox.got) == 2
    process.thaw()
    turns(world, loop, 200)
    outbox.close()
    assert channel.got == []
    assert {each.state for each in world.cases()["r approve"].deliveries} == {"delivered"}
