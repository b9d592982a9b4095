"""Reads YAML documents from standard input and checks those of KEDA and the Prometheus operator against their types.

Run by the interpreter of the tools' environment. What the types do not know, or read otherwise, is printed.
"""

import sys
from typing import Any

import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus

TYPES = {
    "ScaledObject": keda.ScaledObject,
    "TriggerAuthentication": keda.TriggerAuthentication,
    "PodMonitor": prometheus.PodMonitor,
    "PrometheusRule": prometheus.PrometheusRule,
}


def main() -> int:
    """Check all of them."""
    checked, wrong = 0, []
    for document in yaml.safe_load_all(sys.stdin):
        kind = TYPES.get(str((document or {}).get("kind")))
        if kind is None:
            continue
        checked += 1
        known: Any = kind.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
        wrong += [f"{document['kind']} {document['metadata']['name']}: {each}" for each in lost(document, known, "")]
    sys.stdout.write("".join(f"{line}\n" for line in wrong) + f"{checked} checked\n")
    return bool(wrong)


def lost(given: Any, known: Any, place: str) -> list[str]:
    """Where `known` lacks something that was given."""
    if isinstance(given, dict) and isinstance(known, dict):
        return [each for key, value in given.items() for each in lost(value, known.get(key), f"{place}.{key}")]
    if isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        return [each for n, (a, b) in enumerate(zip(given, known, strict=True)) for each in lost(a, b, f"{place}[{n}]")]
    return [] if given == known else [f"{place} is {given!r}, read as {known!r}"]


if __name__ == "__main__":
    sys.exit(main())
