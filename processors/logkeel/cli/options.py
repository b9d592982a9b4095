"""Options that several commands share. None means not given: environment, TOML or default apply."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from logkeel.cli.output import Format

Bootstrap: TypeAlias = Annotated[
    str | None, typer.Option("--bootstrap-servers", "-b", help="Kafka brokers, host:port,… (LOGKEEL_BOOTSTRAP_SERVERS)")
]
Prefix: TypeAlias = Annotated[str | None, typer.Option("--prefix", help="Application: prefix of topics and groups.")]
StateDir: TypeAlias = Annotated[str | None, typer.Option("--state-dir", help="Folder for tables and slot locks.")]
Config: TypeAlias = Annotated[Path | None, typer.Option("--config", help="TOML file (default: logkeel.toml).")]
KafkaConfig: TypeAlias = Annotated[
    str | None,
    typer.Option("--kafka-config", help="client.properties of the Kafka client: TLS, login (LOGKEEL_KAFKA_CONFIG)."),
]
ProbePort: TypeAlias = Annotated[
    int | None,
    typer.Option("--probe-port", help="Answer /livez, /readyz and /startupz there (LOGKEEL_PROBE_PORT)."),
]
ProbeHost: TypeAlias = Annotated[
    str | None, typer.Option("--probe-host", help="Address to answer probes on (default 127.0.0.1).")
]
Stay: TypeAlias = Annotated[
    bool | None,
    typer.Option("--stay/--leave", help="When ending, keep the partitions for a restart, or hand them over (default)."),
]
MetricsPort: TypeAlias = Annotated[
    int | None, typer.Option("--metrics-port", help="Serve Prometheus metrics there (LOGKEEL_METRICS_PORT).")
]
MetricsHost: TypeAlias = Annotated[
    str | None, typer.Option("--metrics-host", help="On this address; default: 127.0.0.1 (LOGKEEL_METRICS_HOST).")
]
PayloadKeys: TypeAlias = Annotated[
    str | None,
    typer.Option("--payload-keys", help="File of keys that payloads are encrypted with (LOGKEEL_PAYLOAD_KEYS)."),
]
PayloadCompression: TypeAlias = Annotated[
    str | None, typer.Option("--payload-compression", help="zstd or none (LOGKEEL_PAYLOAD_COMPRESSION).")
]
BlobStoreUrl: TypeAlias = Annotated[
    str | None, typer.Option("--blob-store", help="URL that large payloads are kept below (LOGKEEL_BLOB_STORE).")
]
BlobAbove: TypeAlias = Annotated[
    int | None,
    typer.Option("--blob-above", help="Bytes above which a payload goes there (LOGKEEL_BLOB_ABOVE_BYTES)."),
]
RunId: TypeAlias = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
Reason: TypeAlias = Annotated[str | None, typer.Option("--reason", help="Kept in the history.")]
RoutingKey: TypeAlias = Annotated[str | None, typer.Option("--routing-key", help="If the run was started with one.")]
Output: TypeAlias = Annotated[Format, typer.Option("--output", "-o", help="How data is printed on standard output.")]
