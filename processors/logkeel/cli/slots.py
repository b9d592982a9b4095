"""Which slot an engine or notifier takes: told, or its pod's ordinal, or the lowest free one of its directory. Pure."""

import re

from logkeel.cli.settings import Settings
from logkeel.errors import ConfigInvalid


def slot_of(settings: Settings) -> int | None:
    """The slot that is wanted; None: any. Pods of a StatefulSet are named by ordinals, which stay with their volumes.

    Raises `ConfigInvalid` for a pod without an ordinal: two such would be each other's zombies.
    """
    if settings.slot is not None or not settings.pod_name:
        return settings.slot
    ordinal = re.search(r"-(\d{1,4})$", settings.pod_name)
    if ordinal is None:
        raise ConfigInvalid(
            f"the pod {settings.pod_name!r} has no ordinal: run them as a StatefulSet, or give each a LOGKEEL_SLOT",
            pod_name=settings.pod_name,
        )
    return int(ordinal[1])
