"""TLS, SASL/SCRAM and ACLs for an embedded broker: its certificates and its properties.

Clients come by SASL_SSL with SCRAM-SHA-512; the broker talks to itself and to its controller by mutual TLS. Rights are
those of Kafka's own authorizer: nothing is allowed but to `ADMIN` and the broker itself, until ACLs say so.

Certificates are made by the `keytool` of the Java runtime, signed by themselves, for 127.0.0.1 and localhost. Passwords
of key stores are made anew with them and stay in the data directory, readable by its owner only.
"""

import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logkeel.broker import java
from logkeel.errors import BrokerDied

ADMIN: Final = "admin"
"""The user that may do everything: makes topics and ACLs."""

MECHANISM: Final = "SCRAM-SHA-512"
AUTHORIZER: Final = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"

INNER: Final = "broker"
"""Common name of the certificate that the broker shows itself."""

_KEYTOOL_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Security:
    """Who may come, and which certificates are shown. `users`: passwords by name, `ADMIN` among them.

    `valid_days` of the certificate shown to clients; negative: it expired so many days ago.
    """

    directory: Path
    users: Mapping[str, str]
    valid_days: int = 3_650

    @property
    def authority(self) -> Path:
        """What clients trust, as PEM."""
        return self.directory / "server.pem"

    def prepare(self) -> None:
        """Make what is missing; certificates that are there stay. Raises: BrokerDied."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make(INNER, valid_days=3_650)
        self._make("server", valid_days=self.valid_days)

    def properties(self) -> dict[str, str]:
        """Broker properties; `prepare` comes first."""
        inner = self._store(INNER) | {"ssl.client.auth": "required"}
        client = self._store("server") | {"sasl.enabled.mechanisms": MECHANISM}
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        client[f"{MECHANISM.lower()}.sasl.jaas.config"] = module
        listeners = {"internal": inner, "controller": inner, "client": client}
        return {
            "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL",
            "sasl.enabled.mechanisms": MECHANISM,
            "authorizer.class.name": AUTHORIZER,
            "super.users": f"User:CN={INNER};User:{ADMIN}",
            **{
                f"listener.name.{listener}.{name}": value
                for listener, properties in listeners.items()
                for name, value in properties.items()
            },
        }

    def format_arguments(self) -> list[str]:
        """What the storage tool is told, so that the first start knows the users."""
        return [
            argument
            for name, password in self.users.items()
            for argument in ("--add-scram", f"{MECHANISM}=[name={name},password={password}]")
        ]

    def client_properties(self, user: str) -> dict[str, str]:
        """How a user connects, as Java clients say it."""
        login = f'username="{user}" password="{self.users[user]}"'
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.jaas.config": f"org.apache.kafka.common.security.scram.ScramLoginModule required {login};",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority),
        }

    def _store(self, name: str) -> dict[str, str]:
        password = self._password()
        return {
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(self.directory / f"{name}.p12"),
            "ssl.keystore.password": password,
            "ssl.key.password": password,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.directory / f"{name}.pem"),
        }

    def _password(self) -> str:
        path = self.directory / "keystore.password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24), encoding="ascii")
        return path.read_text(encoding="ascii")

    def _make(self, name: str, *, valid_days: int) -> None:
        store, certificate = self.directory / f"{name}.p12", self.directory / f"{name}.pem"
        if certificate.exists():
            return
        store.unlink(missing_ok=True)
        shared = ["-alias", name, "-keystore", str(store), "-storetype", "PKCS12", "-storepass", self._password()]
        begin = f"{valid_days - 1}d" if valid_days < 0 else "-1d"
        _keytool(
            "-genkeypair",
            *shared,
            *("-keyalg", "EC", "-groupname", "secp256r1", "-dname", f"CN={name}"),
            *("-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c=ca:true"),
            *("-startdate", begin, "-validity", str(max(1, valid_days + 1))),
        )
        partial = certificate.with_suffix(".partial")
        _keytool("-exportcert", "-rfc", *shared, "-file", str(partial))
        partial.replace(certificate)  # its presence says that both are there


def _keytool(*arguments: str) -> None:
    command = [str(java.java_executable().with_name("keytool")), *arguments]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=java.environment(),
        timeout=_KEYTOOL_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).splitlines()[-20:]
        raise BrokerDied("a certificate could not be made: " + "\n".join(said), log_tail=said)
