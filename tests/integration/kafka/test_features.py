"""A broker's feature levels, asked for in the clear."""

import socket

import pytest

from logkeel.errors import LogUnavailable
from logkeel.kafka import finalized_features


@pytest.mark.kafka
def test_a_broker_says_its_levels(kafka_bootstrap: str) -> None:
    levels = finalized_features(f"127.0.0.1:1,{kafka_bootstrap}")
    assert levels["metadata.version"] >= 25
    assert levels["transaction.version"] == 2


def test_something_else_is_no_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        server.close()
        with pytest.raises(LogUnavailable, match="no broker says its version"):
            finalized_features(address)
