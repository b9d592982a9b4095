"""Small topics read whole, by whoever holds a client."""

from logkeel.errors import TopicMissing
from logkeel.log.client import LogClient
from logkeel.log.records import Record, TopicPartition

BATCH = 1_000
FETCH_S = 10.0
"""How long one fetch may wait for records. What is behind an open transaction is not waited for."""


def read_topic(client: LogClient, topic: str) -> list[Record]:
    """Every committed record up to the present end, in the order of each partition. For topics that fit into memory.

    Raises `TopicMissing`, and as `LogReader.fetch`.
    """
    admin, reader = client.admin(), client.reader("read_committed")
    try:
        topics = admin.describe_topics([topic])
        if topic not in topics:
            raise TopicMissing(f"topic {topic} does not exist: run `logkeel topics apply`", topic=topic)
        places = [TopicPartition(topic, number) for number in range(topics[topic].partitions)]
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
