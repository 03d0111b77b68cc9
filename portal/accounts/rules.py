"""Who people are: closed sets, how names are folded for search, who gets the next customer."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Language(StrEnum):
    EN = "en"
    PT_BR = "pt-BR"


class Channel(StrEnum):
    EMAIL = "email"
    PHONE = "phone"
    WHATSAPP = "whatsapp"
    PORTAL = "portal"


class Role(StrEnum):
    CONSULTANT = "consultant"
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Candidate:
    """A consultant who could take the next customer."""

    staff_id: int
    open_journeys: int
    last_assigned_at: datetime | None


def next_consultant(candidates: list[Candidate]) -> int | None:
    """The one with the fewest open journeys; among equals round robin (longest without a new one). domain.md, stage 1."""
    if not candidates:
        return None
    return min(
        candidates,
        key=lambda c: (c.open_journeys, c.last_assigned_at.timestamp() if c.last_assigned_at else 0, c.staff_id),
    ).staff_id


def folded(text: str) -> str:
    """Lower case without accents, for search: `Araújo & Cia` gives `araujo & cia`. SQLite folds ASCII only."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"\s+", " ", plain.casefold()).strip()


def normalised_email(address: str) -> str:
    """How addresses are stored and compared: trimmed, lower case."""
    return address.strip().lower()
