"""An embedded broker behind TLS, SASL/SCRAM and ACLs: for tests of what production asks of clients."""

import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from logkeel.broker.block import RunsInBlock
from logkeel.broker.embedded import EmbeddedBroker
from logkeel.broker.launch import LaunchRequest
from logkeel.broker.security import ADMIN, Security


class SecuredBroker(RunsInBlock):
    """Real Apache Kafka, one node, that lets nobody in without a password and nobody do what no ACL allows.

    `users`: those known from the first start, beside `ADMIN`; their passwords are by chance. `valid_days` of the
    certificate; negative: it has expired. Data, users and certificates survive stop, kill and restart.
    """

    def __init__(
        self,
        users: Sequence[str],
        data_dir: Path | None = None,
        *,
        valid_days: int = 3_650,
        config: Mapping[str, str] | None = None,
    ) -> None:
        self._temporary = data_dir is None
        place = Path(tempfile.mkdtemp(prefix="logkeel-broker-")) if data_dir is None else data_dir.resolve()
        passwords = {name: secrets.token_urlsafe(12) for name in dict.fromkeys((ADMIN, *users))}
        self.security = Security(place / "security", passwords, valid_days)
        request = LaunchRequest(place, config=dict(config or {}), security=self.security)
        self.broker = EmbeddedBroker.of(request, remove=place if self._temporary else None)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients."""
        return self.broker.bootstrap_servers

    def client_properties(self, user: str) -> dict[str, str]:
        """How a user connects, as in a Java client's `client.properties`. Raises KeyError for one nobody knows."""
        return self.security.client_properties(user)

    def write_client_properties(self, user: str, path: Path) -> Path:
        """The same as a file for `--kafka-config`, with the address."""
        lines = {"bootstrap.servers": self.bootstrap_servers, **self.client_properties(user)}
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")
        return path

    def start(self) -> Self:
        """As `EmbeddedBroker.start`."""
        self.broker.start()
        return self

    def close(self) -> None:
        """As `EmbeddedBroker.close`."""
        self.broker.close()
        if self._temporary:
            shutil.rmtree(self.broker.data_dir, ignore_errors=True)
