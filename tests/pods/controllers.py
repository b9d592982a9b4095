"""What keeps pods: a StatefulSet with volumes, a Deployment that surges, and a scaler on the lag of a queue.

Each follows the documented order of its namesake: a StatefulSet of the policy Parallel scales at once and updates from
the highest ordinal down, one at a time; a Deployment with maxSurge 1 and maxUnavailable 0 starts the new one first.
"""

import math
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.pods.pod import Ending, Place, Pod, arguments_of

from logkeel.log import Admin, TopicPartition

READY_S = 90.0

Meanwhile = Callable[[], None]


class Controller:
    """What both have."""

    def __init__(self, resource: dict[str, Any], place: Place, volumes: Path, *, workflow: str) -> None:
        self.name: str = resource["metadata"]["name"]
        self._spec: dict[str, Any] = resource["spec"]["template"]["spec"]
        self._place, self._volumes = place, volumes
        self._arguments = arguments_of(self._spec, workflow=workflow)
        self.pods: list[Pod] = []
        self.past: list[Pod] = []
        self.endings: list[Ending] = []
        self.troubles: list[str] = []

    def _make(self, name: str, volume: Path) -> Pod:
        return Pod(name, self._spec, volume, self._place, self._arguments)

    def look_after(self) -> None:
        """One round of the kubelets."""
        self.troubles += [trouble for pod in self.pods if (trouble := pod.look_after()) is not None]

    def await_ready(self, pods: list[Pod], meanwhile: Meanwhile) -> None:
        """Until each of them passes its readiness probe."""
        deadline = time.monotonic() + READY_S
        while not all(pod.passes("readiness") for pod in pods):
            meanwhile()
            if time.monotonic() > deadline:
                raise AssertionError("not ready: " + "\n".join(f"{pod.name}: {pod.tail()}" for pod in pods))

    def end(self, pods: list[Pod], meanwhile: Meanwhile) -> None:
        """End them at once, within their grace periods."""
        began = time.monotonic()
        for pod in pods:
            pod.terminate()
            self.pods.remove(pod)
        while any(pod.alive for pod in pods) and time.monotonic() - began < self._spec["terminationGracePeriodSeconds"]:
            meanwhile()
        self.endings += [pod.await_end(began) for pod in pods]
        self.past += pods


class StatefulSet(Controller):
    """Pods by ordinal, each with a volume that outlives it."""

    def scale(self, replicas: int, meanwhile: Meanwhile) -> None:
        """At once, both ways (`podManagementPolicy: Parallel`); the highest ordinals go."""
        fresh = [self._at(ordinal) for ordinal in range(len(self.pods), replicas)]
        for pod in fresh:
            pod.start()
            self.pods.append(pod)
        if surplus := self.pods[replicas:]:
            self.end(surplus, meanwhile)
        self.await_ready(self.pods, meanwhile)

    def update(self, meanwhile: Meanwhile) -> None:
        """One after the other, from the highest ordinal down, each ready before the next one goes."""
        for pod in reversed(list(self.pods)):
            self.end([pod], meanwhile)
            self._replace(pod, meanwhile)

    def lose_machine(self, ordinal: int, meanwhile: Meanwhile, *, volume_too: bool) -> None:
        """The machine is gone, and its volume with it or not; the pod comes back by its name."""
        pod = self.pods[ordinal]
        pod.kill()
        self.pods.remove(pod)
        self.past.append(pod)
        if volume_too:
            shutil.rmtree(pod.volume)
        self._replace(pod, meanwhile)

    def _at(self, ordinal: int) -> Pod:
        name = f"{self.name}-{ordinal}"
        return self._make(name, self._volumes / f"state-{name}")

    def _replace(self, pod: Pod, meanwhile: Meanwhile) -> None:
        again = self._make(pod.name, pod.volume)
        again.start()
        self.pods.append(again)
        self.pods.sort(key=lambda each: each.name)
        self.await_ready([again], meanwhile)


class Deployment(Controller):
    """Pods with names by chance and volumes that end with them."""

    def scale(self, replicas: int, meanwhile: Meanwhile, *, wait: bool = True) -> None:
        """At once, both ways; the oldest go."""
        for _ in range(len(self.pods), replicas):
            self._begin()
        if surplus := self.pods[: max(0, len(self.pods) - replicas)]:
            self.end(surplus, meanwhile)
        if wait:
            self.await_ready(self.pods, meanwhile)

    def update(self, meanwhile: Meanwhile) -> None:
        """The new one is ready before an old one goes."""
        for pod in list(self.pods):
            fresh = self._begin()
            self.await_ready([fresh], meanwhile)
            self.end([pod], meanwhile)

    def lose_machine(self, meanwhile: Meanwhile) -> None:
        """The oldest pod is gone without a word; another one takes its place."""
        pod = self.pods.pop(0)
        pod.kill()
        shutil.rmtree(pod.volume)
        self.past.append(pod)
        self.await_ready([self._begin()], meanwhile)

    def _begin(self) -> Pod:
        name = f"{self.name}-{secrets.token_hex(5)}"
        pod = self._make(name, self._volumes / f"empty-{name}")
        pod.start()
        self.pods.append(pod)
        return pod


class Scaler:
    """A ScaledObject with one Kafka trigger: what KEDA and the autoscaler behind it would want."""

    def __init__(self, resource: dict[str, Any], admin: Admin) -> None:
        spec = resource["spec"]
        trigger = spec["triggers"][0]["metadata"]
        self._admin = admin
        self._least, self._most = spec["minReplicaCount"], spec["maxReplicaCount"]
        self._threshold, self._activation = int(trigger["lagThreshold"]), int(trigger["activationLagThreshold"])
        self.group, topic = trigger["consumerGroup"], trigger["topic"]
        count = admin.describe_topics([topic])[topic].partitions
        self._places = [TopicPartition(topic, number) for number in range(count)]

    def lag(self) -> int:
        """Of the group, up to the end that is not committed yet: markers count, as they do for KEDA."""
        ends = self._admin.end_offsets(self._places, committed_only=False)
        found = self._admin.group_offsets(self.group, self._places)
        return sum(end - found.get(place, (0, ""))[0] for place, end in ends.items())

    def wanted(self) -> int:
        """How many replicas."""
        lag = self.lag()
        if lag <= self._activation:
            return int(self._least)
        return min(int(self._most), max(1, math.ceil(lag / self._threshold)))
