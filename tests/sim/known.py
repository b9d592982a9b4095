"""All workflows of simulations."""

from tests.sim.budgets import SPENDING
from tests.sim.deadlines import DEADLINES
from tests.sim.families import FAMILIES
from tests.sim.growing import growing
from tests.sim.hardships import HARDSHIPS
from tests.sim.heirs import HEIRS
from tests.sim.kin import RELATED
from tests.sim.limits import LIMITED
from tests.sim.patches import PATCHED
from tests.sim.retries import RETRIED
from tests.sim.sagas import trip
from tests.sim.schedules import ticks
from tests.sim.uses import CALLING
from tests.sim.versions import rolled, rolled_old
from tests.sim.workload import WORKFLOWS, agent, many

MORE = (
    agent,
    many,
    growing,
    *FAMILIES,
    trip,
    *LIMITED,
    *SPENDING,
    *CALLING,
    *HEIRS,
    *RETRIED,
    *PATCHED,
    *RELATED,
    *HARDSHIPS,
    *DEADLINES,
    rolled,
    ticks,
)
"""Only in the worlds of seeds that have runs of them, or of who starts them."""

OLD_VERSIONS = (rolled_old,)
"""Published before all others."""

BY_NAME = {workflow.name: workflow for workflow in (*WORKFLOWS, *MORE)}
