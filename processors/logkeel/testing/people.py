"""People for a run in memory: they answer its questions as the caller says. Pure but for the callables it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from logkeel.client.answers import NOTHING, Answer
from logkeel.errors import InvalidInput
from logkeel.projection import RunView, WaitView
from logkeel.runs.core.paths import static

Reply: TypeAlias = str | tuple[str, Any] | None
"""A verb; a verb and an answer; or None: nobody answers, and time goes on."""

Person: TypeAlias = Reply | Callable[[WaitView, RunView], Reply]
"""What somebody says to every question of a name, or a function of the question and the run."""


@dataclass(slots=True)
class People:
    """Who answers, by the name of the question: the id of its block, with or without the blocks around it."""

    known: Mapping[str, Person]
    _asked: set[int] = field(default_factory=set)

    def answers(self, view: RunView) -> list[Answer]:
        """Answers to questions that were not answered before. Raises `InvalidInput` for a verb that is not taken."""
        found = []
        for wait in view.questions:
            person = self._person(wait.path)
            if person is None or wait.number in self._asked:
                continue
            reply = person(wait, view) if callable(person) else person
            if reply is not None:
                self._asked.add(wait.number)
                found.append(_answer(view, wait, reply))
        return found

    def _person(self, path: str) -> Person:
        place = static(path)
        return self.known.get(place, self.known.get(place.rpartition("/")[2]))


def _answer(view: RunView, wait: WaitView, reply: str | tuple[str, Any]) -> Answer:
    verb, value = (reply, NOTHING) if isinstance(reply, str) else reply
    if verb not in wait.allow:
        raise InvalidInput(f"{wait.path!r} takes {', '.join(wait.allow)}, not {verb!r}", path=wait.path)
    return Answer(
        run_id=view.run_id, path=wait.path, verb=verb, value=value, question=wait.number, answered_by="try_out"
    )
