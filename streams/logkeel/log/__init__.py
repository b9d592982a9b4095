"""The ports of the streams layer: log, clock and store, as values and protocols.

No third-party library is imported here. `logkeel.kafka` and `logkeel.tables` implement the ports on real parts,
`logkeel.simulation` in memory; `tests/conformance` holds one suite that each implementation must pass.
"""

from logkeel.log.admin import Admin, GroupMember, TopicDescription, TopicPlan
from logkeel.log.client import LogClient
from logkeel.log.clock import Clock
from logkeel.log.consumer import (
    HAND_OVER_S,
    SESSION_TIMEOUT_MS,
    AssignmentListener,
    Fetched,
    GroupConsumer,
    GroupMetadata,
)
from logkeel.log.producer import NO_METADATA, DeliveryCallback, Producer, TransactionalProducer
from logkeel.log.reader import Changes, LogReader, changes_of
from logkeel.log.reading import all_described, described, places_of, read_topic
from logkeel.log.records import Header, OutputRecord, Record, TopicPartition
from logkeel.log.store import Store, StoreDirectory

__all__ = [
    "NO_METADATA",
    "HAND_OVER_S",
    "SESSION_TIMEOUT_MS",
    "Admin",
    "AssignmentListener",
    "Changes",
    "Clock",
    "DeliveryCallback",
    "Fetched",
    "GroupConsumer",
    "GroupMember",
    "GroupMetadata",
    "Header",
    "LogClient",
    "LogReader",
    "OutputRecord",
    "Producer",
    "Record",
    "Store",
    "StoreDirectory",
    "TopicDescription",
    "TopicPartition",
    "TopicPlan",
    "TransactionalProducer",
    "changes_of",
    "all_described",
    "described",
    "places_of",
    "read_topic",
]
