"""What a flow looks like, and that every way through it is drawn."""

import re

from examples.agents.classic import research
from hypothesis import given, settings
from tests.unit.runs.test_block_laws import plans

from logkeel.runs.core.plan import Plan
from logkeel.workflow.drawing import as_mermaid, as_text

OUTLINE = """\
classic@1
  parallel: all of
    search_web
    search_papers
  write
  loop: at most 3 times, then go on
    judge
    leave if verdict is good
    improve
  ask a human: approve, at most 2d, then reject
  branch on decision
    approve:
      rescue
        publish
        on timeout:
          queue_for_later
    reject:
      archive
"""

CHART = """\
flowchart TD
    n0(("classic@1"))
    n1{{"parallel: all of"}}
    n0 --> n1
    n2["search_web"]
    n1 --> n2
    n3["search_papers"]
    n1 --> n3
    n4{{"join"}}
    n2 --> n4
    n3 --> n4
    n5["write"]
    n4 --> n5
    n6{{"loop: at most 3 times, then go on"}}
    n5 --> n6
    n7["judge"]
    n6 --> n7
    n8{"leave if verdict is good"}
    n7 --> n8
    n9["improve"]
    n8 -->|"no"| n9
    n9 -->|"again"| n6
    n10[/"ask a human: approve, at most 2d, then reject"/]
    n8 -->|"yes"| n10
    n6 -->|"exhausted"| n10
    n11{"decision?"}
    n10 --> n11
    n12{{"rescue"}}
    n11 -->|"approve"| n12
    n13["publish"]
    n12 --> n13
    n14["queue_for_later"]
    n12 -->|"on timeout"| n14
    n15["archive"]
    n11 -->|"reject"| n15
    n16(("end"))
    n13 --> n16
    n14 --> n16
    n15 --> n16
"""


def test_the_classic_agent_as_an_outline() -> None:
    assert research.draw() == OUTLINE


def test_the_classic_agent_as_a_chart() -> None:
    assert research.draw("mermaid") == CHART


@settings(max_examples=100, deadline=None)
@given(plan=plans())
def test_every_step_is_drawn_once_and_every_arrow_joins_two_boxes(plan: Plan) -> None:
    chart, outline = as_mermaid(plan.document), as_text(plan.document)
    boxes = re.findall(r"^    (n\d+)[\[({]", chart, re.MULTILINE)
    assert len(boxes) == len(set(boxes))
    arrows = re.findall(r"^    (n\d+) -->(?:\\|.*?\\|)? (n\d+)$", chart, re.MULTILINE)
    assert {end for arrow in arrows for end in arrow} <= set(boxes)
    for path in plan.steps:
        name = path.rpartition("/")[2]
        assert chart.count(f'["{name}"]') == 1
        assert re.search(rf"^ +{name}$", outline, re.MULTILINE)
