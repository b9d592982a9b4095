"""Deletes a group: python -m tests.chaos.forgetting BOOTSTRAP GROUP. Ends with 0 once there is none of that name.

A process of its own, since the client ends the one that asks when the coordinator's connection breaks at the wrong
moment (librdkafka 4605 and 5397).
"""

import sys

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient


def main() -> None:
    """Ask once."""
    _, bootstrap, group = sys.argv
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        admin.delete_consumer_groups([group], request_timeout=10)[group].result(15)
    except KafkaException as exception:
        gone = exception.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND
        sys.exit(0 if gone else f"{exception}")


if __name__ == "__main__":
    main()
