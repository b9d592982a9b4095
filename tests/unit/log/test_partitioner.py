"""Kafka's default partitioner: test vectors of Kafka's own test suite, and equality with librdkafka's murmur2."""

import pytest
from confluent_kafka import murmur2 as librdkafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from logkeel.log.partitioner import murmur2, partition_for


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_vectors_of_kafka(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF


@given(st.binary(min_size=1, max_size=64), st.integers(1, 200))
def test_equals_librdkafka(key: bytes, partition_count: int) -> None:
    assert partition_for(key, partition_count) == librdkafka_murmur2(key, partition_count)
