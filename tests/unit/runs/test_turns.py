"""Laws of turns: the rows of a conversation are the fold of its turns' histories, and hold nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.runs.flows import inner
from tests.unit.runs.scripts import T0, failed, flow_of, identity, step_block, text
from tests.unit.runs.test_conversations import talk
from tests.unit.runs.test_rows import DictRows

from logkeel.definitions import ParallelBlock
from logkeel.records import CancelRun, FieldWrite, Payload, RunEvent, StartRun, StepSucceeded
from logkeel.runs.core import requests
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.replay import replay
from logkeel.runs.core.starting import info_of, start
from logkeel.runs.core.state import RunState
from logkeel.runs.core.turns import as_turn
from logkeel.runs.rows.conversation_rows import Conversations
from logkeel.runs.rows.run_rows import load_run, new_run, save_head

MAPS = ("steps", "forks", "fields", "values", "elements", "positions", "stale")
LARGE = 600


def branches() -> Plan:
    """Two at once, then one more: kept fields are written in branches, and joined."""
    say = [replace(step_block("say"), id=f"say{number}") for number in range(3)]
    both = ParallelBlock(id="both", branches=(say[0], flow_of(say[1], replace(say[1], id="more"))))
    return talk(both, say[2])


class Speech:
    """Turns of one conversation on rows, each loaded anew after every event."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.rows = plan, DictRows()
        self.before: RunState | None = None
        self.count = 0

    def begin(self) -> None:
        """A turn begins, as the engine begins it."""
        self.count += 1
        name = f"t{self.count}"
        request = StartRun(workflow="work", inputs=(text("topic", "x"), text("who", "ann")), conversation_id="ann")
        info = info_of(request, self.plan, run_id=name, request_id=name, incarnation="0-0-0", now_ms=T0)
        conversations = Conversations(self.rows)
        conversations.begin("work", "ann", name)
        info = as_turn(info, self.plan, conversations.find("work", "ann").revisions)
        self.state, self.history = new_run(self.rows, info), list[RunEvent]()
        self.turn(lambda activation: start(activation, request, request.inputs))

    def turn(self, act: object) -> None:
        """One thing happens; the rows are the fold."""
        activation = Activation(self.state, self.plan, T0)
        act(activation)  # type: ignore[operator]  # a function
        self.history += activation.events
        save_head(self.rows, self.state)
        loaded = load_run(self.rows, self.state.info.run_id)
        assert loaded is not None
        self.state = loaded
        self.check()

    def check(self) -> None:
        folded = replay(self.history, self.plan, before=self.before)
        assert self.state.info == folded.info
        assert self.state.head == folded.head
        for name in MAPS:
            assert dict(getattr(self.state, name)) == dict(getattr(folded, name)), name

    def end(self) -> None:
        """The turn has ended."""
        assert not self.state.running
        self.before = replay(self.history, self.plan, before=self.before)
        Conversations(self.rows).end(self.state.info, self.state.head.revision, 0)
        self._check_rows()

    def _check_rows(self) -> None:
        """What the conversation has is what a pointer of it points at."""
        kept = self.state.info.kept
        pointers = {name: each for (scope, name), each in self.state.fields.items() if not scope and name in kept}
        generations = {(name, each.generation) for name, each in pointers.items()}
        elements = [key for key in self.state.elements if key[0] in kept]
        assert {(name, number) for name, number, _ in elements} <= generations
        assert all(position < pointers[name].end for name, _, position in elements)
        assert {key[:2] for key in self.state.positions if key[0] in kept} <= generations
        revisions = {(name, each.revision) for name, each in pointers.items()}
        assert {key for key in self.state.values if key[0] in kept} <= revisions
        assert not [key for key in self.state.stale if key[0] in kept]


WRITES = st.lists(
    st.one_of(
        st.builds(lambda n: ("append", "x" * n), st.sampled_from((1, LARGE))),
        st.just(("replace", "")),
        st.builds(lambda key: ("put", key), st.sampled_from("abc")),
        st.builds(lambda key: ("remove", key), st.sampled_from("abc")),
        st.builds(lambda n: ("reply", "y" * n), st.sampled_from((1, LARGE))),
        st.just(("mood", "calm")),
    ),
    max_size=4,
)


def written(kind: str, value: str) -> FieldWrite:
    match kind:
        case "append":
            return replace(text("messages", value), operation="append")
        case "replace":
            return FieldWrite(field="messages")
        case "put" | "remove":
            payload = Payload(encoding="json", data=b"1") if kind == "put" else None
            return FieldWrite(field="facts", operation=kind, element_key=value, payload=payload)
        case "reply":
            return text("reply", value)
        case _:
            return FieldWrite(field="mood", is_control=True, control=value)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), turns=st.integers(1, 4), plan=st.sampled_from((talk(), branches())))
def test_each_turn_goes_on_from_what_the_former_ones_left(data: st.DataObject, turns: int, plan: Plan) -> None:
    speech, seen = Speech(plan), list[str]()
    for _ in range(turns):
        speech.begin()
        assert told(speech) == seen
        while speech.state.running:
            happen(speech, data)
        seen = told(speech)
        speech.end()


def happen(speech: Speech, data: st.DataObject) -> None:
    """A step ends, well or not, or the turn is cancelled."""
    path = data.draw(st.sampled_from(sorted(p for p, s in speech.state.steps.items() if s.is_open)))
    run_id, move = speech.state.info.run_id, data.draw(st.integers(0, 9))
    if move == 0:
        speech.turn(lambda turn: requests.cancel(turn, CancelRun(run_id=run_id), "q"))
        return
    who = replace(identity(speech.state, path), run_id=run_id)
    if move == 1:
        failure = replace(failed(speech.state, path, "fatal"), identity=who)
        speech.turn(lambda turn: answer(turn, failure))
        return
    writes = tuple(sorted((written(*each) for each in data.draw(WRITES)), key=lambda each: each.field))
    success = StepSucceeded(identity=who, holder="w", started_at_ms=T0, finished_at_ms=T0, writes=writes)
    speech.turn(lambda turn: answer(turn, success))


def told(speech: Speech) -> list[str]:
    """All messages, as the state itself has them."""
    value = field_value(speech.state, speech.plan, "messages")
    return [] if value is None else [(each.payload.data or b"").decode() for each in value.elements]


def test_an_inner_workflows_field_of_the_same_name_is_its_own() -> None:
    document = talk().document
    block = replace(inner("w", step_block("say")), fields=document.fields, inputs=(), returns=None, writes=None)
    speech = Speech(talk(block))
    for _ in range(2):
        speech.begin()
        assert told(speech) == []
        who = replace(identity(speech.state, "w/say"), run_id=speech.state.info.run_id)
        writes = (written("append", "private"),)
        success = StepSucceeded(identity=who, holder="w", started_at_ms=T0, finished_at_ms=T0, writes=writes)
        speech.turn(lambda turn, success=success: answer(turn, success))
        speech.end()
    assert not speech.state.elements
