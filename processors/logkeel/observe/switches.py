"""What the variables of OpenTelemetry ask for. Pure. https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

| variable | traces are sent |
|---|---|
| `OTEL_SDK_DISABLED=true`, `OTEL_TRACES_EXPORTER=none` | never |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | there |
| `OTEL_TRACES_EXPORTER=otlp` | to the endpoint, by default http://localhost:4318 |
| neither | no |
"""

from collections.abc import Mapping
from dataclasses import dataclass

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whether traces are to be sent; `refusal` says why they cannot be although they are asked for."""

    traces: bool
    refusal: str | None = None


def wanted(environment: Mapping[str, str]) -> Wanted:
    """Read the variables. An empty one counts as not set."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return Wanted(False)
    if not exporter and not any(environment.get(name) for name in ENDPOINTS):
        return Wanted(False)
    if exporter not in ("", "otlp"):
        return Wanted(False, f"OTEL_TRACES_EXPORTER={exporter}: traces are sent over otlp only")
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), HTTP)
    if protocol != HTTP:
        return Wanted(False, f"the protocol {protocol}: traces are sent over {HTTP} only (port 4318 of a collector)")
    return Wanted(True)
