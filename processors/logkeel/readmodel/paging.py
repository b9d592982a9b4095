"""Which runs are asked for, and where in their order: filters, cursors, and the SQL of a page. Pure.

Runs come in the order of their start, the youngest first, by `facets` (facet, value, started_at_ms, run). One facet
leads the scan; the others are looked up, a point each. A page looks at no more than `SCAN` candidates: where a rare
combination is asked for, it may be short or empty, and its cursor says where the next one goes on.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from logkeel.errors import CallerError
from logkeel.readmodel.rows import RUN_COLUMNS, WORKFLOW_AND_STATUS, Facet, attribute_facet, pair
from logkeel.records import RunStatus

SCAN: Final = 20_000
"""Candidates of one page: a look-up of each takes some microseconds."""

RARITY: Final = (*("in_doubt", "assignee", "paused", "step", "waiting_for", WORKFLOW_AND_STATUS, "workflow", "status"),)
"""Facets by how few runs they usually have; attributes come before all, being given one by one."""


class Place(NamedTuple):
    """A run's place in the order of pages."""

    started_at_ms: int
    run: int


class QuestionPlace(NamedTuple):
    """A question's place in the order of pages, the oldest first."""

    since_ms: int
    run: int
    path: str


P = TypeVar("P", Place, QuestionPlace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What runs have to meet, all of it. `step`: is open now; `waiting_for`: kind of a wait.

    `started_after_ms` is included, `started_before_ms` is not.
    """

    workflow: str | None = None
    status: RunStatus | None = None
    step: str | None = None
    waiting_for: str | None = None
    assignee: str | None = None
    in_doubt: bool = False
    paused: bool = False
    started_after_ms: int | None = None
    started_before_ms: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def facets(self) -> list[Facet]:
        """What to find them by, the one that is likely to be rarest first."""
        found: dict[str, str] = {attribute_facet(name): value for name, value in self.attributes.items()}
        given: dict[str, str | None] = {
            "in_doubt": "true" if self.in_doubt else None,
            "assignee": self.assignee,
            "paused": "true" if self.paused else None,
            "step": self.step,
            "waiting_for": self.waiting_for,
        }
        if self.workflow is not None and self.status is not None:
            given[WORKFLOW_AND_STATUS] = pair(self.workflow, self.status)
        else:
            given |= {"workflow": self.workflow, "status": self.status}
        found |= {facet: value for facet in RARITY if (value := given.get(facet)) is not None}
        return list(found.items())


class Query(NamedTuple):
    """A statement and its parameters."""

    sql: str
    parameters: tuple[Any, ...]


def cursor_of(place: NamedTuple) -> str:
    """The place as text that callers hand back and do not look into."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str, kind: type[P]) -> P:
    """The place of a cursor. Raises `CallerError` for a text that is none."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data, type=kind)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise CallerError("this cursor is none of ours: give `next_cursor` of the page before, unchanged") from error


def page_query(filters: Filters, behind: Place | None, limit: int) -> Query:
    """Rows by `number` and `RUN_COLUMNS` of at most `limit` runs among the next `SCAN` candidates."""
    leading, others = _split(filters)
    candidates, parameters = _candidates(filters, leading, behind)
    met = "".join(
        " AND EXISTS (SELECT 1 FROM facets f WHERE f.facet = ? AND f.value = ?"
        " AND f.started_at_ms = c.started_at_ms AND f.run = c.run)"
        for _ in others
    )
    columns = ", ".join(f"r.{column}" for column in RUN_COLUMNS)
    # CROSS JOIN fixes the order of the loops, so rows come in the order of the candidates, and no more are looked at
    # than the page needs.
    sql = (
        f"SELECT r.number, {columns} FROM ({candidates} LIMIT {SCAN}) c CROSS JOIN run_rows r"  # noqa: S608 - words of this room
        f" WHERE r.number = c.run{met} LIMIT ?"
    )
    return Query(sql, (*parameters, *(word for facet in others for word in facet), limit))


def last_candidate_query(filters: Filters, behind: Place | None) -> Query:
    """The place of the last candidate of `page_query`, if there are `SCAN` of them: the next page begins there."""
    leading, _ = _split(filters)
    candidates, parameters = _candidates(filters, leading, behind)
    return Query(f"{candidates} LIMIT 1 OFFSET {SCAN - 1}", parameters)


def _split(filters: Filters) -> tuple[Facet | None, list[Facet]]:
    facets = filters.facets()
    return (facets[0], facets[1:]) if facets else (None, [])


def _candidates(filters: Filters, leading: Facet | None, behind: Place | None) -> Query:
    """Places in order, by one index."""
    number, table = ("number", "run_rows") if leading is None else ("run", "facets")
    conditions, parameters = ["1"], list[Any]()
    if leading is not None:
        conditions += ["facet = ?", "value = ?"]
        parameters += leading
    if filters.started_after_ms is not None:
        conditions.append("started_at_ms >= ?")
        parameters.append(filters.started_after_ms)
    if filters.started_before_ms is not None:
        conditions.append("started_at_ms < ?")
        parameters.append(filters.started_before_ms)
    if behind is not None:
        conditions.append(f"(started_at_ms, {number}) < (?, ?)")
        parameters += behind
    met = " AND ".join(conditions)
    sql = f"SELECT started_at_ms, {number} AS run FROM {table} WHERE {met} ORDER BY started_at_ms DESC, {number} DESC"  # noqa: S608 - words of this room
    return Query(sql, tuple(parameters))
