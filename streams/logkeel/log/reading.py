"""Topics as they are, and small ones read whole, by whoever holds a client."""

from collections.abc import Mapping, Sequence

from logkeel.errors import TopicMissing
from logkeel.log.admin import Admin, TopicDescription
from logkeel.log.client import LogClient
from logkeel.log.records import Record, TopicPartition

BATCH = 1_000
FETCH_S = 10.0
"""How long one fetch may wait for records. What is behind an open transaction is not waited for."""


def described(admin: Admin, topic: str) -> TopicDescription:
    """The topic as it is. Raises `TopicMissing`, saying what to type, and `LogUnavailable`."""
    found = admin.describe_topics([topic]).get(topic)
    if found is None:
        raise TopicMissing(f"topic {topic} does not exist: run `logkeel topics apply`", topic=topic)
    return found


def all_described(admin: Admin, topics: Sequence[str], *, prefix: str) -> Mapping[str, TopicDescription]:
    """The same of several, the topics of one application: all that are missing are named."""
    found = admin.describe_topics(topics)
    missing = [topic for topic in topics if topic not in found]
    if missing:
        said = f"run `logkeel topics apply --prefix {prefix}`"
        raise TopicMissing(f"topics are missing: {', '.join(missing)}; {said}", topic=missing[0])
    return found


def places_of(admin: Admin, topic: str) -> list[TopicPartition]:
    """Every partition of the topic. Raises as `described`."""
    return [TopicPartition(topic, number) for number in range(described(admin, topic).partitions)]


def read_topic(client: LogClient, topic: str) -> list[Record]:
    """Every committed record up to the present end, in the order of each partition. For topics that fit into memory.

    Raises `TopicMissing`, and as `LogReader.fetch`.
    """
    admin, reader = client.admin(), client.reader("read_committed")
    try:
        places = places_of(admin, topic)
        ends = admin.end_offsets(places, committed_only=True)
        positions = dict(admin.start_offsets(places))
        reader.assign(dict(positions))
        records: list[Record] = []
        while any(positions[place] < end for place, end in ends.items()):
            fetched = reader.fetch(BATCH, FETCH_S)
            records += fetched.records
            for record in fetched.records:
                positions[record.source] = record.offset + 1
            for place, end in fetched.ends.items():
                positions[place] = max(end, positions[place])
        return records
    finally:
        reader.close()
        admin.close()
