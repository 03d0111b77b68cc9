"""The time zones that people choose from: by continent, each with its city and its hours from UTC, in the reader's words."""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import available_timezones

from babel.dates import get_timezone_location

from portal import words
from portal.clock import zone
from portal.errors import N_


class ZoneGroup(NamedTuple):
    """A continent and its zones: (name, what people read)."""

    name: str
    zones: tuple[tuple[str, str], ...]


_CONTINENTS: dict[str, str] = {
    "America": N_("Americas"),
    "Europe": N_("Europe"),
    "Africa": N_("Africa"),
    "Asia": N_("Asia"),
    "Atlantic": N_("Atlantic"),
    "Australia": N_("Australia"),
    "Indian": N_("Indian Ocean"),
    "Pacific": N_("Pacific"),
    "Antarctica": N_("Antarctica"),
    "Arctic": N_("Arctic"),
}
# Old names that still work and only double what is there.
_NOT = frozenset({"America/Buenos_Aires", "America/Indianapolis", "America/Louisville", "Asia/Calcutta", "Asia/Saigon"})


@lru_cache(maxsize=4)
def _names() -> dict[str, tuple[str, ...]]:
    known = sorted(name for name in available_timezones() if "/" in name and name not in _NOT)
    return {continent: tuple(name for name in known if name.startswith(f"{continent}/")) for continent in _CONTINENTS}


def zone_groups(now: datetime, locale: str) -> tuple[ZoneGroup, ...]:
    """All of them, west to east within a continent by name; the hours are those of today."""
    return _groups(now.replace(minute=0, second=0, microsecond=0), locale)


@lru_cache(maxsize=8)
def _groups(now: datetime, locale: str) -> tuple[ZoneGroup, ...]:
    return tuple(
        ZoneGroup(
            words.translate(locale, label), tuple((name, _shown(name, now, locale)) for name in _names()[continent])
        )
        for continent, label in _CONTINENTS.items()
    )


@lru_cache(maxsize=2000)
def _city(name: str, locale: str) -> str:
    """The place that it is named after, as the reader calls it. Kept: all of them take a quarter of a second."""
    return str(get_timezone_location(name, locale=locale.replace("-", "_"), return_city=True))


def _shown(name: str, now: datetime, locale: str) -> str:
    """`São Paulo (UTC−3)`."""
    offset = now.astimezone(zone(name)).utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset is not None else 0
    hours, rest = divmod(abs(minutes), 60)
    sign = "−" if minutes < 0 else "+"
    return f"{_city(name, locale)} (UTC{sign}{hours}{f':{rest:02d}' if rest else ''})"
