"""Whether resources are of Strimzi's types, by the schemas of its definitions (`strimzi.yaml`). Pure but for that file.

Stricter than an API server, which drops what a definition does not know: here that is wrong.
"""

from pathlib import Path
from typing import Any

import jsonschema
import yaml

DEFINITIONS = {each["kind"]: each for each in yaml.safe_load_all(Path(__file__).with_suffix(".yaml").read_text())}


def problems(resource: dict[str, Any]) -> list[str]:
    """What is wrong with a `KafkaTopic` or a `KafkaUser`, by place."""
    definition = DEFINITIONS[resource["kind"]]
    version = f"{definition['group']}/{definition['version']}"
    found = [] if resource["apiVersion"] == version else [f"apiVersion is {resource['apiVersion']}, not {version}"]
    schema = _closed(definition["schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # as Kubernetes has it, which is checked elsewhere
    errors = jsonschema.Draft202012Validator(schema).iter_errors(resource)
    return found + [f"{error.json_path}: {error.message}" for error in errors]


def _closed(schema: Any) -> Any:
    """The same schema, taking no member that it does not name."""
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: {name: _closed(each) for name, each in value.items()} if key == "properties" else _closed(value)
        for key, value in schema.items()
    }
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not is_open:
        closed["additionalProperties"] = False
    return closed
