"""Lets go of a handle of the client without waiting for its threads."""

import threading

from confluent_kafka import Consumer, Producer


def destroy_in_thread(producer: Producer) -> None:
    """Destroying a handle waits for its threads: done elsewhere, by dropping the last reference there.

    The caller drops its own reference at once.
    """
    holder = [producer]
    threading.Thread(target=holder.clear, name="logkeel-producer-destroyer", daemon=True).start()


def close_in_thread(consumer: Consumer) -> None:
    """Closing waits for the broker, which may not answer: done elsewhere."""
    threading.Thread(target=consumer.close, name="logkeel-consumer-closer", daemon=True).start()
