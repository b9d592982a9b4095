"""Writes what the manifests take from the code, so that neither repeats the other: `python -m deploy.render`.

`helm/logkeel/code.yaml` has topics, rights, ports, probe paths and grace periods; the chart's templates read it. With
the path of a `helm` binary it also renders `kustomize/base` from the chart: `python -m deploy.render --helm PATH`.
"""

import argparse
import subprocess
from pathlib import Path
from typing import Any, Final

from logkeel.cli.access import Role
from logkeel.cli.grace import engine_grace_s, insight_grace_s, notifier_grace_s, worker_grace_s
from logkeel.cli.probes import LIVE, READY, STARTED
from logkeel.cli.provisioning import wanted_topics
from logkeel.cli.settings import Settings
from logkeel.cli.strimzi import topic_resource, user_resource
from logkeel.cli.watchdog import ENGINE_LIMIT_S, WORKER_LIMIT_S
from logkeel.cli.wiring import engine_settings, notifier_settings
from logkeel.cli.yaml_text import yaml_documents
from logkeel.log import TopicPlan
from logkeel.records.topics import TopicNames, topic_policies

HERE: Final = Path(__file__).parent
CHART: Final = HERE / "helm" / "logkeel"
CODE: Final = CHART / "code.yaml"
RULES: Final = HERE / "observability" / "prometheus" / "rules.yaml"
"""Alert rules on logkeel's own metrics; the chart cannot reach outside of its folder, so it has a copy."""

BASE: Final = HERE / "kustomize" / "base"
NAMESPACE: Final = "logkeel"

PREFIX: Final = "{prefix}"
QUEUE: Final = "{queue}"
"""Stand for the application's prefix and for each of its queues; the chart puts the values in."""

PROBE_PORT: Final = 8081
METRICS_PORT: Final = 9464
PROBE_PERIOD_S: Final = 5
PROBE_TIMEOUT_S: Final = 3
_HEADER: Final = "# Written by `python -m deploy.render` from the code: change it there.\n"


def code() -> dict[str, Any]:
    """What the chart knows of the code."""
    names = TopicNames(PREFIX)
    return {
        "topics": [_topic(plan, names) for plan in wanted_topics(Settings(prefix=PREFIX), [QUEUE])],
        "users": {str(role): _rights(role, names) for role in Role},
        "ports": {"probes": PROBE_PORT, "metrics": METRICS_PORT},
        "probes": {
            "live": {"path": LIVE, "periodSeconds": PROBE_PERIOD_S, "timeoutSeconds": PROBE_TIMEOUT_S},
            "ready": {"path": READY, "periodSeconds": PROBE_PERIOD_S, "timeoutSeconds": PROBE_TIMEOUT_S},
            "started": {"path": STARTED, "periodSeconds": PROBE_PERIOD_S, "timeoutSeconds": PROBE_TIMEOUT_S},
            # The watchdog of a process comes first, and says why it ends.
            "engineLiveFailures": _failures(ENGINE_LIMIT_S),
            "workerLiveFailures": _failures(WORKER_LIMIT_S),
        },
        "grace": {
            "engineSeconds": engine_grace_s(engine_settings(Settings(), 0)),
            "workerSecondsBesideDrain": worker_grace_s(0),
            "notifierSeconds": notifier_grace_s(notifier_settings(Settings(), 0)),
            "insightSeconds": insight_grace_s(Settings().session_timeout_ms),
        },
        "groups": {"engine": names.engine_group, "worker": names.worker_group(QUEUE)},
        "commands": names.step_commands(QUEUE),
    }


def _topic(plan: TopicPlan, names: TopicNames) -> dict[str, Any]:
    """A topic without what values decide: partition count, copies, and how many of these must answer."""
    policy = next(each for each in topic_policies(names, [QUEUE]) if each.name == plan.name)
    config = dict(topic_resource(plan, cluster="")["spec"]["config"])
    del config["min.insync.replicas"]
    return {
        "name": plan.name,
        "partitions": policy.partitions or 0,
        "config": {key: str(value) if isinstance(value, int) else value for key, value in config.items()},
    }


def _rights(role: Role, names: TopicNames) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = user_resource(role, names, [QUEUE], cluster="")["spec"]["authorization"]["acls"]
    return rules


def _failures(limit_s: float) -> int:
    return int((limit_s + 30.0) // PROBE_PERIOD_S)


def rendered_code() -> str:
    """The text of `code.yaml`."""
    return _HEADER + yaml_documents([code()])


def rendered_base(helm: str) -> str:
    """The chart with its default values, as one file."""
    command = [helm, "template", "logkeel", str(CHART), "--namespace", NAMESPACE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return _HEADER + done.stdout


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--helm", help="also render the Kustomize base, with this helm")
    helm = parser.parse_args().helm
    CODE.write_text(rendered_code(), encoding="utf-8")
    if RULES.exists():
        (CHART / "rules.yaml").write_text(RULES.read_text(encoding="utf-8"), encoding="utf-8")
    if helm:
        BASE.mkdir(parents=True, exist_ok=True)
        (BASE / "logkeel.yaml").write_text(rendered_base(helm), encoding="utf-8")


if __name__ == "__main__":
    main()
