"""The meetings of the plan, offered by themselves: the kick-off as use starts, the check-in after two weeks.

One mail for each, to the main contact, within their hours; its link opens a page of free times and books without signing in.
Not where there is nothing to offer any more, and never to customers who were taken in under way.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import mail
from portal.accounts.asking import Asked, next_opening
from portal.accounts.models import Account, Contact
from portal.accounts.people_queries import wishes_of
from portal.clock import local_date
from portal.db import insert_for
from portal.errors import N_
from portal.house import House
from portal.journeys import due
from portal.journeys.due import Waiting
from portal.journeys.models import Activity, JourneyRow, Touchpoint
from portal.journeys.rules import ActivityKind, Status
from portal.journeys.storing import primary_contacts
from portal.links import is_sealed, new_nonce, row_of, seal
from portal.mail import Kind, Letter, LetterRow, Withheld
from portal.meetings import queries
from portal.meetings.models import Meeting, MeetingOffer
from portal.meetings.queries import MeetingLine
from portal.meetings.rules import OFFERED_ON_DAYS, WORDS, MeetingKind, next_few

DUE = "meeting_offer"
PURPOSE = "meeting_offer"
"""The purpose of the link: `/meet/<token>`."""
AT_A_GLANCE = 3


class Standing(NamedTuple):
    """What is true of a journey that decides whether a meeting of its plan is offered."""

    status: Status
    open_flags: int
    day_of_use: int | None
    is_in_plan: bool
    """Whether the plan has such a touchpoint that isn't done."""
    is_known: bool
    """Whether such a meeting is planned or was held."""
    was_taken_in: bool


def moot(kind: MeetingKind, standing: Standing) -> str:
    """Why it isn't offered; empty if it is."""
    first, last = OFFERED_ON_DAYS[kind]
    if standing.status is not Status.OPEN:
        return "ended"
    if standing.was_taken_in:
        return "taken_in"
    if not standing.is_in_plan:
        return "not_in_plan"
    if standing.is_known:
        return "booked"
    if standing.open_flags:
        return "open_flag"
    if standing.day_of_use is None or not first <= standing.day_of_use <= last:
        return "late"
    return ""


# Offering


def offer_due(db: Session, house: House, rows: Sequence[Waiting], now: datetime) -> None:
    """Queues the mails that are due, one a journey; lets those wait that would come at night."""
    journeys = {row.id: row for row in _journeys(db, [row.journey_id for row in rows])}
    people = primary_contacts(db, [journey.account_id for journey in journeys.values()])
    wishes = wishes_of(db, [person.id for person in people.values()])
    standings = _standings(db, journeys, now=now)
    results: dict[str, list[Waiting]] = {}
    later: list[tuple[Waiting, datetime]] = []
    for row in rows:
        kind = MeetingKind(row.what)
        journey, person = journeys[row.journey_id], people.get(journeys[row.journey_id].account_id)
        why = moot(kind, standings(journey, kind))
        if not why and (person is None or not person.email):
            why = "no_email"
        if not why and person is not None and person.id in wishes:
            opens = next_opening(Asked.REMINDER, wishes[person.id], now, house.holidays)
            if opens is not None and opens > now:
                later.append((row, opens))
                continue
        results.setdefault(why or "done", []).append(row)
        if not why and person is not None:
            _offer(db, house, row, kind, journey, person, now=now)
    due.postpone(db, later)
    for result, those in results.items():
        due.mark_done(db, those, now=now, result=result)


def _journeys(db: Session, ids: Sequence[int]) -> Sequence[Any]:
    return db.execute(
        select(
            JourneyRow.id,
            JourneyRow.account_id,
            JourneyRow.status,
            JourneyRow.open_flags,
            JourneyRow.use_started_on,
            JourneyRow.zone,
        ).where(JourneyRow.id.in_(ids))
    ).all()


def _standings(db: Session, journeys: dict[int, Any], *, now: datetime) -> Any:
    """How each journey stands, by a question for journey and kind; three statements for all of them."""
    ids = list(journeys)
    in_plan = {
        tuple(row)
        for row in db.execute(
            select(Touchpoint.journey_id, Touchpoint.key).where(
                Touchpoint.journey_id.in_(ids), Touchpoint.key.in_(OFFERED_ON_DAYS), Touchpoint.done_at.is_(None)
            )
        )
    }
    known = {
        tuple(row)
        for row in db.execute(
            select(Meeting.journey_id, Meeting.kind).where(
                Meeting.journey_id.in_(ids), Meeting.cancelled_at.is_(None), Meeting.missed_at.is_(None)
            )
        )
    }
    taken_in = set(
        db.scalars(
            select(Activity.journey_id).where(Activity.journey_id.in_(ids), Activity.kind == ActivityKind.TAKE_OVER)
        )
    )

    def standing(journey: Any, kind: MeetingKind) -> Standing:
        started = journey.use_started_on
        return Standing(
            journey.status,
            journey.open_flags,
            (local_date(now, journey.zone) - started).days if started is not None else None,
            (journey.id, kind.value) in in_plan,
            (journey.id, kind) in known,
            journey.id in taken_in,
        )

    return standing


def _offer(
    db: Session, house: House, row: Waiting, kind: MeetingKind, journey: Any, person: Any, *, now: datetime
) -> None:
    made = insert_for(db, MeetingOffer).values(
        journey_id=row.journey_id, kind=kind, contact_id=person.id, nonce=new_nonce(), offered_at=now
    )
    offer_id = db.scalar(made.on_conflict_do_nothing().returning(MeetingOffer.id))
    if offer_id is None:
        return  # it was offered before
    letter = Letter(
        key=f"meeting_offer:{row.journey_id}:{kind}",
        kind=Kind.MEETING_OFFER,
        to_email=person.email,
        language=person.language,
        context={"offer_id": offer_id, "title": WORDS[kind].customer, "purpose": WORDS[kind].purpose},
        account_id=journey.account_id,
        journey_id=row.journey_id,
        contact_id=person.id,
    )
    mail.queue(db, letter, now=now)


# The link


class Offered(NamedTuple):
    """An offer with the journey it belongs to and the person it was made to."""

    id: int
    kind: MeetingKind
    nonce: str
    journey_id: int
    status: Status
    contact_id: int
    language: str
    timezone: str
    account_name: str

    @property
    def is_open(self) -> bool:
        return self.status is Status.OPEN


_OFFERS = (
    select(
        MeetingOffer.id,
        MeetingOffer.kind,
        MeetingOffer.nonce,
        MeetingOffer.journey_id,
        JourneyRow.status,
        MeetingOffer.contact_id,
        Contact.language,
        Contact.timezone,
        Account.name,
    )
    .join(JourneyRow, JourneyRow.id == MeetingOffer.journey_id)
    .join(Contact, Contact.id == MeetingOffer.contact_id)
    .join(Account, Account.id == Contact.account_id)
    .where(Contact.disabled_at.is_(None))
)


def offer(db: Session, offer_id: int) -> Offered | None:
    row = db.execute(_OFFERS.where(MeetingOffer.id == offer_id)).first()
    return Offered._make(row) if row is not None else None


def path_of(house: House, found: Offered) -> str:
    """Where times can be chosen, by whoever has the link."""
    return f"/meet/{seal(house.secret, PURPOSE, found.id, found.nonce)}"


def sealed_offer(db: Session, house: House, token: str) -> Offered | None:
    """The offer behind a link; None for a link that opens none."""
    offer_id = row_of(token)
    found = offer(db, offer_id) if offer_id is not None else None
    return found if found is not None and is_sealed(token, house.secret, PURPOSE, found.nonce) else None


def met_already(db: Session, found: Offered) -> MeetingLine | None:
    """Such a meeting of theirs that is planned or was held, the newest; then there is nothing more to book."""
    meeting_id = db.scalar(
        select(Meeting.id)
        .where(
            Meeting.journey_id == found.journey_id,
            Meeting.kind == found.kind,
            Meeting.cancelled_at.is_(None),
            Meeting.missed_at.is_(None),
        )
        .order_by(Meeting.id.desc())
        .limit(1)
    )
    return queries.meeting(db, meeting_id) if meeting_id is not None else None


# Composing, when the letter leaves


def _compose(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The next few times, as they are when it leaves; shown again, as they were then. Errors: Withheld where there is
    nothing to offer any more."""
    found = offer(db, mail.revived(row.context)["offer_id"])
    host = queries.host_of_journey(db, found.journey_id) if found is not None else None
    if found is None or host is None:
        raise Withheld(N_("There is nobody to meet any more."))
    terms = queries.terms_of(db, found.kind)
    made: dict[str, Any] = {
        "path": path_of(house, found),
        "with_name": host.name,
        "minutes": terms.length_minutes,
        "slots": [],
    }
    if row.sent_at is None and not found.is_open:
        raise Withheld(N_("Their journey had ended before this went out."))
    if row.sent_at is None and met_already(db, found) is not None:
        raise Withheld(N_("They had booked it before this went out."))
    now = row.sent_at or house.clock.now()
    free = queries.slots(
        db,
        host.staff_id,
        found.kind,
        now=now,
        zone=found.timezone,
        holidays=house.holidays,
        terms=terms,
        as_of=row.sent_at,
    )
    made["slots"] = [slot.starts_at for slot in next_few(free, found.timezone, most=AT_A_GLANCE)]
    return made


COMPOSERS: dict[Kind, mail.Composer] = {Kind.MEETING_OFFER: _compose}
