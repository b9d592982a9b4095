"""One workflow in two versions, as in a rolling update (P38): the older one is published first."""

from tests.sim.workload import Work, double_of, post_of

from logkeel.workflow import Workflow

OLD, NEW = "1", "2"

rolled_old: Workflow[Work] = Workflow("rolled", state=Work, returns=("result",), version=OLD)
rolled_old.flow(double_of(rolled_old), post_of(rolled_old))

rolled: Workflow[Work] = Workflow("rolled", state=Work, returns=("result",), version=NEW)
rolled.flow(post_of(rolled), double_of(rolled))
