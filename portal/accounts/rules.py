"""Who people are: closed sets, how names are folded for search, who gets the next customer."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from portal.clock import at_local, zone


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
    """The one with the fewest open journeys; among equals round robin (longest without a new one)."""
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


# What one person of a customer may do, beside their colleagues


class Right(StrEnum):
    """Everything that a contact may do or see in the portal. The table is in `RIGHTS`."""

    SEE_PLAN = "see_plan"
    TICK_MILESTONES = "tick_milestones"
    BOOK_MEETINGS = "book_meetings"
    SEE_COLLEAGUES = "see_colleagues"
    REFER_FRIENDS = "refer_friends"
    INVITE_COLLEAGUES = "invite_colleagues"
    REMOVE_COLLEAGUES = "remove_colleagues"
    DECIDE_WHO_INVITES = "decide_who_invites"
    HAND_OVER = "hand_over"
    SEE_ANSWERS_OF_OTHERS = "see_answers_of_others"
    SEE_CASES_OF_OTHERS = "see_cases_of_others"


class Standing(StrEnum):
    """What somebody is at their account."""

    PRIMARY = "primary"
    INVITER = "inviter"
    """A colleague whom the main contact (or we) allowed to invite others."""
    COLLEAGUE = "colleague"


_EVERYBODY = frozenset(
    {Right.SEE_PLAN, Right.TICK_MILESTONES, Right.BOOK_MEETINGS, Right.SEE_COLLEAGUES, Right.REFER_FRIENDS}
)
RIGHTS: dict[Standing, frozenset[Right]] = {
    Standing.PRIMARY: _EVERYBODY
    | {Right.INVITE_COLLEAGUES, Right.REMOVE_COLLEAGUES, Right.DECIDE_WHO_INVITES, Right.HAND_OVER},
    Standing.INVITER: _EVERYBODY | {Right.INVITE_COLLEAGUES},
    Standing.COLLEAGUE: _EVERYBODY,
}
"""What somebody answered in a survey or told us was wrong is theirs: one case per unhappy person.
So nobody has the last two rights, the main contact least of all: who is afraid of their boss gives fives."""


def standing(*, is_primary: bool, may_invite: bool) -> Standing:
    """What they are; the main contact needs no leave to invite."""
    if is_primary:
        return Standing.PRIMARY
    return Standing.INVITER if may_invite else Standing.COLLEAGUE


def may(who: Standing, right: Right) -> bool:
    """Whether a contact of that standing may do it."""
    return right in RIGHTS[who]


# Whom one may invite


class InviteDomains(StrEnum):
    """Whose addresses a contact may invite (`PORTAL_INVITE_DOMAINS`)."""

    OWN = "own"
    ANY = "any"


FREE_MAIL = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "outlook.com.br", "hotmail.com", "hotmail.com.br", "live.com"),
        *("msn.com", "yahoo.com", "yahoo.com.br", "ymail.com", "rocketmail.com", "icloud.com", "me.com", "mac.com"),
        *("aol.com", "proton.me", "protonmail.com", "pm.me", "gmx.com", "gmx.net", "gmx.de", "mail.com", "zoho.com"),
        *("uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br", "globo.com", "globomail.com", "r7.com", "oi.com.br"),
        *("hotmail.co.uk", "live.co.uk", "yahoo.co.uk", "btinternet.com", "sapo.pt", "fastmail.com", "tutanota.com"),
        *(
            "hey.com",
            "yandex.com",
            "yandex.ru",
            "mail.ru",
            "qq.com",
            "163.com",
            "web.de",
            "t-online.de",
            "zipmail.com.br",
        ),
    }
)
"""Where anybody gets an address: two people there are no colleagues, so such a domain never opens as a whole."""


class NotInvited(StrEnum):
    """Why an invitation doesn't go out."""

    ALREADY_HERE = "already_here"
    ALREADY_INVITED = "already_invited"
    FULL = "full"
    OTHER_DOMAIN = "other_domain"
    ELSEWHERE = "elsewhere"
    """At another customer, or one of ours."""
    NO_CONTACT = "no_contact"
    """They asked not to be written to."""


def domain_of(email: str) -> str:
    return email.rpartition("@")[2].lower()


def own_domains(emails: Iterable[str]) -> frozenset[str]:
    """The domains that an account's people have of their own."""
    return frozenset(domain_of(email) for email in emails if email) - FREE_MAIL


@dataclass(frozen=True)
class Invitee:
    """An address that somebody wants to invite, and what is known around it."""

    email: str
    emails_here: Collection[str]
    """Addresses of the account's people, and of its open invitations in `invited_here`."""
    invited_here: Collection[str]
    is_elsewhere: bool
    wants_no_contact: bool
    people: int
    """How many people and open invitations the account has."""


def why_not_invited(invitee: Invitee, *, domains: InviteDomains, most: int) -> NotInvited | None:
    """The first reason against an invitation, or None. What the inviter can see for themselves comes first."""
    if invitee.email in invitee.emails_here:
        return NotInvited.ALREADY_HERE
    if invitee.email in invitee.invited_here:
        return NotInvited.ALREADY_INVITED
    if invitee.people >= most:
        return NotInvited.FULL
    if domains is InviteDomains.OWN and domain_of(invitee.email) not in own_domains(invitee.emails_here):
        return NotInvited.OTHER_DOMAIN
    if invitee.wants_no_contact:
        return NotInvited.NO_CONTACT
    return NotInvited.ELSEWHERE if invitee.is_elsewhere else None


# When and how often somebody wants to be asked


class Frequency(StrEnum):
    """How many requests a person wants: surveys, reminders, news, offers, referral asks together."""

    USUAL = "usual"
    LESS = "less"
    MONTHLY = "monthly"
    NECESSARY = "necessary"


DAYS_BETWEEN: dict[Frequency, int | None] = {
    Frequency.USUAL: 7,
    Frequency.LESS: 14,
    Frequency.MONTHLY: 30,
    Frequency.NECESSARY: None,
}
"""Days from one request to the next; None: only what the agreed plan needs (the 30/60/90 contacts, in their hours)."""

WORKING_DAYS = frozenset(range(5))


@dataclass(frozen=True)
class Wishes:
    """When somebody may be asked for something: from, until (exclusive) on these weekdays (0: Monday) in their zone."""

    timezone: str
    channel: Channel = Channel.EMAIL
    frequency: Frequency = Frequency.USUAL
    hours_from: time = time(9)
    hours_until: time = time(18)
    weekdays: frozenset[int] = WORKING_DAYS


def days_between(wishes: Wishes) -> int | None:
    """The least number of days between two requests; None: no request but what the plan needs."""
    return DAYS_BETWEEN[wishes.frequency]


def is_in_hours(wishes: Wishes, instant: datetime) -> bool:
    """Whether it is one of their weekdays and within their hours, where they are."""
    local = instant.astimezone(zone(wishes.timezone))
    return local.weekday() in wishes.weekdays and wishes.hours_from <= local.time() < wishes.hours_until


def may_ask_at(
    wishes: Wishes, instant: datetime, *, last_asked_at: datetime | None = None, is_necessary: bool = False
) -> bool:
    """Whether a request may reach them at that instant: in their hours, and long enough after the last one.

    `is_necessary`: one of the plan's own contacts (30, 60, 90), which outrank the rest: only hours count for it.
    """
    if not is_in_hours(wishes, instant):
        return False
    if is_necessary:
        return True
    days = days_between(wishes)
    return days is not None and (last_asked_at is None or instant - last_asked_at >= timedelta(days=days))


def next_time_to_ask(
    wishes: Wishes, instant: datetime, *, last_asked_at: datetime | None = None, is_necessary: bool = False
) -> datetime | None:
    """The first instant from then on at which they may be asked; None if never (only what is necessary)."""
    days = days_between(wishes)
    if days is None and not is_necessary:
        return None
    if last_asked_at is not None and days is not None and not is_necessary:
        instant = max(instant, last_asked_at + timedelta(days=days))
    day = instant.astimezone(zone(wishes.timezone)).date()
    for offset in range(9):
        that = day + timedelta(days=offset)
        if that.weekday() not in wishes.weekdays:
            continue
        opens = max(instant, at_local(that, wishes.hours_from, wishes.timezone))
        if is_in_hours(wishes, opens):
            return opens
    return None


def as_bits(weekdays: Iterable[int]) -> int:
    """Weekdays as the table keeps them: a bit a day, 1 for Monday."""
    return sum(1 << day for day in set(weekdays))


def as_weekdays(bits: int) -> frozenset[int]:
    return frozenset(day for day in range(7) if bits & (1 << day))


# Each colleague's own start


class StartStep(StrEnum):
    """What a new colleague does first. `CALL` is optional: the start is over without it."""

    PLAN = "plan"
    LESSON = "lesson"
    PREFERENCES = "preferences"
    CALL = "call"


OPTIONAL_STEPS = frozenset({StartStep.CALL})


@dataclass(frozen=True)
class Progress:
    """How far somebody's start has got."""

    began_at: datetime
    done: frozenset[StartStep]
    dismissed_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        return set(StartStep) - OPTIONAL_STEPS <= self.done

    @property
    def is_shown(self) -> bool:
        """Whether home still offers it."""
        return not self.is_finished and self.dismissed_at is None

    @property
    def next_step(self) -> StartStep | None:
        """The first step that isn't done and isn't optional."""
        return next((step for step in StartStep if step not in self.done and step not in OPTIONAL_STEPS), None)

    @property
    def count(self) -> tuple[int, int]:
        """How many of how many, optional ones left out."""
        needed = set(StartStep) - OPTIONAL_STEPS
        return len(self.done & needed), len(needed)
