"""Whose customers a page shows: mine, everybody's, or one colleague's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from portal.accounts.rules import Role
from portal.deps import AskOfStaff
from portal.journeys import desk

MINE = "mine"
ALL = "all"


class Whose(NamedTuple):
    """What was chosen, as the filter shows it, and what it means."""

    value: str
    owner_id: int | None
    """None: everybody's."""
    name: str
    colleagues: Sequence[Any]
    """Those who can own customers: id, name, role."""

    @property
    def is_mine(self) -> bool:
        return self.value == MINE


def whose(ask: AskOfStaff, *, asked: str, usual: str = "") -> Whose:
    """Reads `mine`, `all`, or a colleague's number; anything else is what suits the reader's role (or `usual`)."""
    colleagues = desk.consultants(ask.db)
    usual = usual or (MINE if ask.me.role is Role.CONSULTANT else ALL)
    known = {str(person.id): person for person in colleagues}
    if asked != str(ask.me.staff_id) and asked in known:
        return Whose(asked, known[asked].id, known[asked].name, colleagues)
    chosen = MINE if asked == str(ask.me.staff_id) else asked if asked in (MINE, ALL) else usual
    if chosen == MINE:
        return Whose(MINE, ask.me.staff_id, ask.me.name, colleagues)
    return Whose(ALL, None, "", colleagues)
