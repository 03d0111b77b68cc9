"""When somebody is asked beyond the plan's three contacts, and about what: pure functions.

An occasion is what one invitation is about, as a word that names it once for ever: `meeting:17`, `use:45`,
`stage:deployment:3`, `pulse:2026-11-28`, `hand:12`; of the plan's contacts `day:30`.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from portal.accounts.asking import Asked, Why
from portal.clock import NO_HOLIDAYS, at_local, next_business_day
from portal.errors import N_
from portal.surveys.rules import LOST_ITS_REASON

NINE = time(9)
LATEST = timedelta(days=14)
"""A survey about something that lies longer ago is void: after a stop of the worker, late ones are judged anew."""
AHEAD = timedelta(days=2)
"""How long before its day a survey is put on the list of what is due, so that no look at the list can come too late."""
REMIND_AFTER_DAYS = 5
"""Business days: a week, so that the reminder is a request of another week than the survey's own mail."""
PLAN_COMES_WITHIN = timedelta(days=14)
"""A contact of the plan that comes so soon goes first: nobody gets two surveys within two weeks."""


class TriggerKind(StrEnum):
    """What sets a survey going by itself."""

    MEETING = "meeting"
    DAY_OF_USE = "day_of_use"
    STAGE = "stage"
    EVERY_DAYS = "every_days"


RANGES: dict[TriggerKind, tuple[int, int]] = {
    TriggerKind.MEETING: (1, 1),
    TriggerKind.DAY_OF_USE: (1, 720),
    TriggerKind.STAGE: (0, 90),
    TriggerKind.EVERY_DAYS: (90, 720),
}
"""What its number of days may be; after a meeting it is always the next business day."""


def of_contact(day: int) -> str:
    """The occasion of one of the plan's contacts."""
    return f"day:{day}"


def of_meeting(meeting_id: int) -> str:
    return f"meeting:{meeting_id}"


def of_use(day: int) -> str:
    return f"use:{day}"


def of_visit(stage: str, visit: int) -> str:
    return f"stage:{stage}:{visit}"


def of_round(round_id: int) -> str:
    return f"hand:{round_id}"


def of_turn(survey_key: str, day: date) -> str:
    """One turn of a survey that comes back: it is named by its date, whoever reckons it and whenever."""
    return f"{survey_key}:{day.isoformat()}"


@dataclass(frozen=True)
class Occasion:
    """An occasion, read: what kind it is, and what it names."""

    kind: TriggerKind | None
    """None: it was sent by hand."""
    scope: str
    """Which trigger it is of: as `scope_of` says it."""
    number: int = 0
    """The meeting, the day of use, the visit, the round."""

    @property
    def asked(self) -> Asked:
        """What it counts as in the contact budget."""
        return Asked.MEETING if self.kind is TriggerKind.MEETING else Asked.FURTHER


def scope_of(kind: TriggerKind, *, survey_key: str, days: int, stage: str) -> str:
    """What a trigger has to itself: only one may be on for the same, since one person is asked once about one thing."""
    match kind:
        case TriggerKind.MEETING:
            return "meeting"
        case TriggerKind.DAY_OF_USE:
            return f"use:{days}"
        case TriggerKind.STAGE:
            return f"stage:{stage}"
        case TriggerKind.EVERY_DAYS:
            return f"every:{survey_key}"


def read(occasion: str) -> Occasion:
    """What an occasion's word says. Errors: ValueError for one of the plan, or none of ours."""
    first, _, rest = occasion.partition(":")
    match first:
        case "meeting":
            return Occasion(TriggerKind.MEETING, "meeting", int(rest))
        case "use":
            return Occasion(TriggerKind.DAY_OF_USE, occasion, int(rest))
        case "stage":
            stage, _, visit = rest.rpartition(":")
            return Occasion(TriggerKind.STAGE, f"stage:{stage}", int(visit))
        case "hand":
            return Occasion(None, "", int(rest))
        case "day":
            raise ValueError(f"{occasion} is a contact of the plan")
        case _:
            date.fromisoformat(rest)
            return Occasion(TriggerKind.EVERY_DAYS, f"every:{first}")


# When


def morning(day: date, zone: str, holidays: Container[date] = NO_HOLIDAYS) -> datetime:
    """Nine o'clock there on that day, or on the next business day."""
    return at_local(next_business_day(day, holidays), NINE, zone)


def turn(since: date, every: int, today: date) -> date | None:
    """The latest day on which it was somebody's turn, counted from when they came; None before the first time.

    Reckoned from each customer's own beginning, so that a thousand customers don't get it on one morning.
    """
    turns = (today - since).days // every
    return since + timedelta(days=turns * every) if turns >= 1 else None


WHY_NO_MAIL: dict[str, str] = {
    **LOST_ITS_REASON,
    Why.OPEN_FLAG: N_("They told us that something is wrong: no mail in the middle of that."),
    Why.TOO_SOON: N_("They got another survey less than two weeks ago."),
    Why.PLAN_FIRST: N_("A check-in of the plan comes within two weeks: that one goes first."),
    Why.NO_ADDRESS: N_("They have no e-mail address."),
    Why.REFUSED: N_("They asked not to get surveys by e-mail."),
    Why.PREFERS_PHONE: N_("They like the phone best."),
    Why.PREFERS_WHATSAPP: N_("They like WhatsApp best."),
    Why.PREFERS_PORTAL: N_("They want no mail about it."),
    Why.FEWER_REQUESTS: N_("They want to be asked less often."),
    Why.BUDGET: N_("They were asked for something else not long before."),
    Why.MISSED_MEETING: N_("They missed a meeting that day."),
    Why.OUT_OF_HOURS: N_("Their hours were too far off."),
    Why.NO_HOUR: N_("None of their hours is on a working day."),
    Why.LATE: N_("Its day was more than two weeks ago."),
    Why.UNDELIVERED: N_("Our mail could not be delivered."),
}
"""Why a survey beyond the plan is no mail; what it is instead is said beside it."""
