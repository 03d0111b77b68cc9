"""What contacts do about themselves and one another, and staff for them: invite, join, leave, hand over, choose how to be
reached, change an address, take a first step.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Update, delete, literal, select, text, true, update
from sqlalchemy.orm import Session

from portal import audit, auth, links, mail
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.people_models import (
    NOT_REVOKED,
    OPEN_CHANGE,
    OPEN_INVITATION,
    AddressChange,
    ColleagueInvitation,
    ContactRight,
    ContactWishes,
    ErasureRequest,
    Start,
    StartStepDone,
)
from portal.accounts.rules import (
    Channel,
    InviteDomains,
    Invitee,
    Language,
    NotInvited,
    Right,
    Role,
    StartStep,
    Wishes,
    as_bits,
    folded,
    normalised_email,
    why_not_invited,
)
from portal.audit import Event, Happened
from portal.auth import Limit
from portal.db import insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.instants import UtcDateTime
from portal.mail import Kind, Letter, MailRefusal, Purpose

INVITATION_LASTS = timedelta(days=14)
FORGOTTEN_AFTER = timedelta(days=30)
"""After this long past its end an invitation that nobody answered is forgotten with its address."""
NEW_ADDRESS_LASTS = timedelta(days=2)
INVITATIONS_OF_AN_ACCOUNT = Limit("colleague_invitations_of", 20, timedelta(days=1))
INVITATIONS_TO_AN_ADDRESS = Limit("colleague_invitations_to", 3, timedelta(days=1))
JOINING_BY_A_CLIENT = Limit("joining_by", 40, timedelta(minutes=15))
NEW_ADDRESSES_OF_A_PERSON = Limit("new_addresses_of", 5, timedelta(days=1))
LEFT = N_("They are no longer a contact.")


class NoLongerOpen(Refused):
    """The link was used, replaced or taken back, or it is too late."""

    status = 410

    def __init__(self) -> None:
        super().__init__(N_("This invitation is no longer open. Ask your colleague for a new one."))


class MainContactStays(Refused):
    """The main contact goes only after somebody else became it."""

    def __init__(self) -> None:
        super().__init__(N_("The main contact can’t leave before somebody else takes over. Hand it over first."))


def refresh_search(db: Session, account_id: int) -> None:
    """Keeps the folded words that the customer list is searched by."""
    account = db.get_one(Account, account_id)
    people = db.execute(
        select(Contact.name, Contact.email)
        .where(Contact.account_id == account_id, Contact.disabled_at.is_(None))
        .order_by(Contact.id)
    )
    words = [account.name, account.external_id, *(part for row in people for part in row if part)]
    account.search = folded(" ".join(words))[:2000]
    db.flush()


def _lock(db: Session, account_id: int) -> None:
    """Everything about who belongs to an account happens one after the other (lock order: the account first)."""
    db.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True)).one()


def _changed(db: Session, statement: Update) -> int:
    done = db.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", done).rowcount


# Inviting


@dataclass(frozen=True)
class NewColleague:
    """Whom somebody wants to have here."""

    name: str
    email: str
    language: Language


def invite(
    db: Session, house: House, new: NewColleague, *, account_id: int, by: str, inviter_name: str, now: datetime
) -> NotInvited | None:
    """Sends an invitation by mail, or says why not. Errors: TooMany.

    What is known of the address elsewhere is told to nobody here but to staff, on the timeline.
    """
    _lock(db, account_id)
    auth.spend(db, INVITATIONS_OF_AN_ACCOUNT, str(account_id), now=now)
    why = _why_not(db, house, new.email, account_id)
    if why is not None:
        audit.note(
            db,
            Event(Happened.COLLEAGUE_NOT_INVITED, by, now, account_id, detail={"name": new.name, "why": why.value}),
        )
        return why
    auth.spend(db, INVITATIONS_TO_AN_ADDRESS, new.email, now=now)
    row = ColleagueInvitation(
        account_id=account_id,
        email=new.email,
        name=new.name,
        language=new.language,
        nonce=links.new_nonce(),
        invited_by=by,
        inviter_name=inviter_name,
        created_at=now,
        sent_at=now,
        expires_at=now + INVITATION_LASTS,
    )
    db.add(row)
    db.flush()
    _send(db, row, now=now)
    detail: dict[str, Any] = {"invitation": row.id, "name": new.name}
    audit.note(db, Event(Happened.COLLEAGUE_INVITED, by, now, account_id, detail=detail))
    return None


def _why_not(db: Session, house: House, email: str, account_id: int) -> NotInvited | None:
    here = db.scalars(select(Contact.email).where(Contact.account_id == account_id, Contact.disabled_at.is_(None)))
    emails = [address or "" for address in here]
    invited = db.scalars(
        select(ColleagueInvitation.email).where(ColleagueInvitation.account_id == account_id, text(OPEN_INVITATION))
    ).all()
    invitee = Invitee(
        email=email,
        emails_here=frozenset(emails),
        invited_here=frozenset(invited),
        is_elsewhere=_is_elsewhere(db, email, account_id),
        wants_no_contact=Purpose.MARKETING in mail.refusals(db, email),
        people=len(emails) + len(invited),
    )
    settings = house.settings
    return why_not_invited(invitee, domains=InviteDomains(settings.invite_domains), most=settings.most_contacts)


def _is_elsewhere(db: Session, email: str, account_id: int) -> bool:
    """Whether the address is known at another customer, or is one of ours."""
    elsewhere = select(Contact.id).where(
        Contact.email == email, Contact.account_id != account_id, Contact.disabled_at.is_(None)
    )
    ours = select(Staff.id).where(Staff.email == email, Staff.disabled_at.is_(None))
    return db.scalar(elsewhere.limit(1)) is not None or db.scalar(ours.limit(1)) is not None


def _send(db: Session, row: ColleagueInvitation, *, now: datetime) -> None:
    mail.queue(
        db,
        Letter(
            letter_key(row.id, row.sendings),
            Kind.COLLEAGUE_INVITATION,
            row.email,
            row.language,
            {"friend_name": row.name, "inviter_name": row.inviter_name, "invitation_id": row.id},
            account_id=row.account_id,
        ),
        now=now,
    )


def letter_key(invitation_id: int, sending: int) -> str:
    return f"colleague_invitation:{invitation_id}:{sending}"


def invite_again(db: Session, *, invitation_id: int, account_id: int, by: str, now: datetime) -> str:
    """Sends it once more, with a new link; the old one ends. Gives the name. Errors: NotFound, TooMany."""
    _lock(db, account_id)
    row = _open_invitation(db, invitation_id, account_id)
    auth.spend(db, INVITATIONS_OF_AN_ACCOUNT, str(account_id), now=now)
    auth.spend(db, INVITATIONS_TO_AN_ADDRESS, row.email, now=now)
    mail.suppress(db, keys=[letter_key(row.id, row.sendings)], why=N_("A later mail takes its place."), now=now)
    row.nonce, row.tries, row.sendings = links.new_nonce(), 0, row.sendings + 1
    row.sent_at, row.expires_at = now, now + INVITATION_LASTS
    db.flush()
    _send(db, row, now=now)
    detail = {"invitation": row.id, "name": row.name, "again": True}
    audit.note(db, Event(Happened.COLLEAGUE_INVITED, by, now, account_id, detail=detail))
    return row.name


def withdraw(db: Session, *, invitation_id: int, account_id: int, by: str, now: datetime) -> str:
    """Takes an invitation back; its link ends. Gives the name. Errors: NotFound."""
    _lock(db, account_id)
    row = _open_invitation(db, invitation_id, account_id)
    _end_invitation(db, row, how="withdrawn", by=by, now=now)
    return row.name


def _end_invitation(db: Session, row: ColleagueInvitation, *, how: str, by: str, now: datetime) -> None:
    row.withdrawn_at = now if how == "withdrawn" else None
    row.declined_at = now if how == "declined" else None
    db.flush()
    why = N_("The invitation was taken back or forgotten before it could leave.")
    mail.suppress(db, keys=[letter_key(row.id, row.sendings)], why=why, now=now)
    detail = {"invitation": row.id, "name": row.name, "how": how}
    audit.note(db, Event(Happened.COLLEAGUE_INVITATION_ENDED, by, now, row.account_id, detail=detail))


def _open_invitation(db: Session, invitation_id: int, account_id: int) -> ColleagueInvitation:
    row = db.scalars(
        select(ColleagueInvitation)
        .where(
            ColleagueInvitation.id == invitation_id,
            ColleagueInvitation.account_id == account_id,
            text(OPEN_INVITATION),
        )
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound
    return row


# Joining


@dataclass(frozen=True)
class Joining:
    """What an invited person says of themselves as they come in. `typed_email` is the proof that the mail was theirs."""

    typed_email: str
    name: str
    job_title: str
    language: Language
    timezone: str


def is_open(row: ColleagueInvitation, now: datetime) -> bool:
    """Whether its link still opens something."""
    ended = row.accepted_at or row.withdrawn_at or row.declined_at
    return ended is None and now < row.expires_at and row.tries < auth.MAX_TRIES


def right_address(db: Session, row: ColleagueInvitation, typed: str) -> bool:
    """Whether that is the address the invitation went to. Tries are counted first, so that parallel guesses gain nothing."""
    made = ColleagueInvitation
    counted = _changed(
        db, update(made).where(made.id == row.id, made.tries < auth.MAX_TRIES).values(tries=made.tries + 1)
    )
    db.refresh(row)
    if counted == 1 and normalised_email(typed) == row.email:
        row.tries -= 1
        db.flush()
        return True
    return False


def join(db: Session, *, invitation_id: int, joining: Joining, now: datetime) -> int:
    """Makes the invited person a contact, once however many try; gives who they are. Errors: NoLongerOpen."""
    account_id = db.get_one(ColleagueInvitation, invitation_id).account_id
    _lock(db, account_id)
    row = db.get_one(ColleagueInvitation, invitation_id, populate_existing=True)
    if not is_open(row, now) or db.get_one(Account, account_id, populate_existing=True).churned_on is not None:
        raise NoLongerOpen
    person = db.scalars(
        select(Contact).where(Contact.account_id == account_id, Contact.email == row.email)
    ).one_or_none()
    if person is None:
        person = Contact(account_id=account_id, email=row.email, channel=Channel.EMAIL, created_at=now)
        db.add(person)
    elif person.disabled_at is not None:
        person.disabled_at, person.created_at = None, now
    person.name, person.job_title = joining.name, joining.job_title
    person.language, person.timezone = joining.language, joining.timezone
    db.flush()
    row.accepted_at, row.contact_id = now, person.id
    db.flush()
    refresh_search(db, account_id)
    begin_start(db, person.id, now=now)
    detail = {"invitation": row.id, "how": "invitation"}
    audit.note(db, Event(Happened.COLLEAGUE_JOINED, f"contact:{person.id}", now, account_id, None, person.id, detail))
    _welcome(db, person, inviter_name=row.inviter_name, key=f"colleague_welcome:{row.id}", now=now)
    return person.id


def _welcome(db: Session, person: Contact, *, inviter_name: str, key: str, now: datetime) -> None:
    """Their own link, the first steps, and who looks after them."""
    if not person.email:
        return
    link = auth.welcome_link(db, person.id, now=now)
    context = {"inviter_name": inviter_name, "link_id": link.id, "has_start": True}
    mail.queue(
        db,
        Letter(
            key,
            Kind.WELCOME_LINK,
            person.email,
            person.language,
            context,
            account_id=person.account_id,
            contact_id=person.id,
        ),
        now=now,
    )


def decline(db: Session, *, invitation_id: int, never_again: bool, now: datetime) -> None:
    """They don't want to; `never_again` also keeps everybody's invitations away from that address. Errors: NoLongerOpen."""
    account_id = db.get_one(ColleagueInvitation, invitation_id).account_id
    _lock(db, account_id)
    row = db.get_one(ColleagueInvitation, invitation_id, populate_existing=True)
    if not is_open(row, now):
        raise NoLongerOpen
    _end_invitation(db, row, how="declined", by="stranger", now=now)
    if never_again:
        refuse(db, row.email, Purpose.MARKETING, now=now)


def forget_unanswered(db: Session, now: datetime) -> int:
    """Deletes invitations that nobody took, with their addresses; gives how many."""
    made = ColleagueInvitation
    done = db.execute(
        delete(made).where(made.accepted_at.is_(None), made.expires_at < now - FORGOTTEN_AFTER),
        execution_options={"synchronize_session": False},
    )
    return cast("CursorResult[Any]", done).rowcount


# Staff add somebody


@dataclass(frozen=True)
class AddedColleague:
    """A colleague as staff write them down; e-mail normalised, phone in E.164; one of them may be missing."""

    name: str
    email: str
    phone: str
    job_title: str
    language: Language
    timezone: str


def add_colleague(db: Session, new: AddedColleague, *, account_id: int, by: str, now: datetime) -> int:
    """Somebody is a contact from now on, and gets a welcome with their own link. Errors: Refused where they are already."""
    _lock(db, account_id)
    person = None
    if new.email:
        person = db.scalars(
            select(Contact).where(Contact.account_id == account_id, Contact.email == new.email)
        ).one_or_none()
    if person is not None and person.disabled_at is None:
        raise Refused(N_("They are a contact of this customer already."))
    if person is None:
        person = Contact(account_id=account_id, email=new.email or None, created_at=now)
        person.channel = Channel.EMAIL if new.email else Channel.PHONE
        db.add(person)
    person.disabled_at = None
    person.name, person.phone, person.job_title = new.name, new.phone, new.job_title
    person.language, person.timezone = new.language, new.timezone
    db.flush()
    open_one = db.scalars(
        select(ColleagueInvitation).where(
            ColleagueInvitation.account_id == account_id, ColleagueInvitation.email == new.email, text(OPEN_INVITATION)
        )
    ).one_or_none()
    if open_one is not None:
        open_one.accepted_at, open_one.contact_id = now, person.id
        db.flush()
    refresh_search(db, account_id)
    begin_start(db, person.id, now=now)
    detail = {"name": new.name, "how": "staff"}
    audit.note(db, Event(Happened.COLLEAGUE_JOINED, by, now, account_id, None, person.id, detail))
    _welcome(db, person, inviter_name="", key=f"colleague_added:{person.id}:{now.isoformat()}", now=now)
    return person.id


# Leaving


def remove(db: Session, *, contact_id: int, account_id: int, by: str, now: datetime) -> str:
    """Ends somebody's access at once: sessions, links, waiting letters, invitations of theirs. Gives the name.

    Errors: NotFound for who isn't of that account; MainContactStays.
    """
    _lock(db, account_id)
    person = _contact(db, contact_id, account_id)
    if person.is_primary:
        raise MainContactStays
    person.disabled_at = now
    db.flush()
    auth.end_sessions(db, contact_id=contact_id)
    mail.suppress(db, contact_id=contact_id, why=LEFT, now=now)
    _revoke(db, contact_id, by=by, now=now)
    db.execute(_dropped(contact_id, now), execution_options={"synchronize_session": False})
    sent = select(ColleagueInvitation).where(
        ColleagueInvitation.invited_by == f"contact:{contact_id}", text(OPEN_INVITATION)
    )
    for invitation in db.scalars(sent).all():
        # What somebody left behind may not be their way back in.
        _end_invitation(db, invitation, how="withdrawn", by=by, now=now)
    refresh_search(db, account_id)
    how = "left" if by == f"contact:{contact_id}" else "removed"
    detail = {"name": person.name, "how": how}
    audit.note(db, Event(Happened.CONTACT_REMOVED, by, now, account_id, None, contact_id, detail))
    return person.name


def _contact(db: Session, contact_id: int, account_id: int) -> Contact:
    person = db.get(Contact, contact_id, populate_existing=True)
    if person is None or person.account_id != account_id or person.disabled_at is not None:
        raise NotFound
    return person


# Rights


def allow_inviting(db: Session, *, contact_id: int, account_id: int, by: str, now: datetime) -> str:
    """From now on they may invite colleagues. Gives the name. Errors: NotFound."""
    _lock(db, account_id)
    person = _contact(db, contact_id, account_id)
    given = db.execute(
        insert_for(db, ContactRight)
        .values(contact_id=contact_id, what=Right.INVITE_COLLEAGUES, granted_at=now, granted_by=by)
        .on_conflict_do_nothing()
        .returning(ContactRight.id)
    ).scalar_one_or_none()
    if given is not None:
        detail = {"name": person.name, "how": "granted"}
        audit.note(db, Event(Happened.INVITING_CHANGED, by, now, account_id, None, contact_id, detail))
    return person.name


def stop_inviting(db: Session, *, contact_id: int, account_id: int, by: str, now: datetime) -> str:
    """They may invite nobody any more. Gives the name. Errors: NotFound."""
    _lock(db, account_id)
    person = _contact(db, contact_id, account_id)
    if _revoke(db, contact_id, by=by, now=now):
        detail = {"name": person.name, "how": "revoked"}
        audit.note(db, Event(Happened.INVITING_CHANGED, by, now, account_id, None, contact_id, detail))
    return person.name


def _revoke(db: Session, contact_id: int, *, by: str, now: datetime) -> int:
    held = update(ContactRight).where(ContactRight.contact_id == contact_id, text(NOT_REVOKED))
    return _changed(db, held.values(revoked_at=now, revoked_by=by))


def hand_over(db: Session, *, contact_id: int, account_id: int, by: str, now: datetime) -> str:
    """Makes somebody else the main contact; who was it stays a colleague. Gives the name. Errors: NotFound."""
    _lock(db, account_id)
    person = _contact(db, contact_id, account_id)
    if person.is_primary:
        return person.name
    before = db.scalars(select(Contact).where(Contact.account_id == account_id, Contact.is_primary)).one_or_none()
    if before is not None:
        before.is_primary = False
        db.flush()  # one at a time, says the index
    person.is_primary = True
    db.flush()
    detail = {"before": before.name if before else "", "after": person.name}
    audit.note(db, Event(Happened.PRIMARY_CHANGED, by, now, account_id, None, contact_id, detail))
    return person.name


# Wishes


def wish(db: Session, *, contact_id: int, wishes: Wishes, by: str, now: datetime) -> None:
    """When and how often they want to be asked, and by which channel. Their zone stays as it is."""
    person = db.get_one(Contact, contact_id)
    person.channel = wishes.channel
    values = {
        "frequency": wishes.frequency,
        "hours_from": wishes.hours_from,
        "hours_until": wishes.hours_until,
        "weekdays": as_bits(wishes.weekdays),
        "chosen_at": now,
        "chosen_by": by,
    }
    db.flush()
    db.execute(
        insert_for(db, ContactWishes)
        .values(contact_id=contact_id, **values)
        .on_conflict_do_update(index_elements=["contact_id"], set_=values)
    )
    detail = {"channel": wishes.channel.value, "frequency": wishes.frequency.value}
    audit.note(db, Event(Happened.PREFERENCES_CHANGED, by, now, person.account_id, None, contact_id, detail))


def choose_topics(
    db: Session, *, email: str, wanted: frozenset[Purpose], account_id: int, contact_id: int, by: str, now: datetime
) -> None:
    """Which topics they get mails about: the same rows that the link in a mail writes."""
    refused = mail.refusals(db, email)
    for purpose in mail.TOPICS:
        if purpose in wanted and purpose in refused:
            mail.allow_again(db, email, purpose)
        elif purpose not in wanted and purpose not in refused:
            refuse(db, email, purpose, now=now)
    off = sorted(purpose.value for purpose in mail.TOPICS if purpose not in wanted)
    if off != sorted(purpose.value for purpose in refused if purpose in mail.TOPICS):
        event = Event(Happened.PREFERENCES_CHANGED, by, now, account_id, None, contact_id, {"mails_off": off})
        audit.note(db, event)


def refuse(db: Session, email: str, purpose: Purpose, *, now: datetime) -> None:
    """Remembers that an address wants no more mails of that purpose; once is enough."""
    values = {"address_hash": mail.address_hash(email), "purpose": purpose, "at": now}
    db.execute(insert_for(db, MailRefusal).values(values).on_conflict_do_nothing())


# Another address


class AddressNotUsable(Refused):
    """An address that can't become theirs. Whose it is instead stays unsaid."""

    status = 422

    def __init__(self) -> None:
        super().__init__(N_("We can’t use this address here. Take another one, or ask your consultant."))


def ask_for_address(db: Session, *, contact_id: int, new_email: str, now: datetime) -> None:
    """Writes to the new address for a confirmation, and to the old one so that nobody is robbed of theirs unseen.

    Errors: AddressNotUsable, TooMany.
    """
    person = db.get_one(Contact, contact_id)
    auth.spend(db, NEW_ADDRESSES_OF_A_PERSON, str(contact_id), now=now)
    if _is_taken(db, new_email, person):
        raise AddressNotUsable
    _lock(db, person.account_id)
    db.execute(_dropped(contact_id, now), execution_options={"synchronize_session": False})
    change = AddressChange(
        contact_id=contact_id,
        old_email=person.email or "",
        new_email=new_email,
        nonce=links.new_nonce(),
        created_at=now,
        expires_at=now + NEW_ADDRESS_LASTS,
    )
    db.add(change)
    db.flush()
    letters = [
        Letter(
            f"address_confirmation:{change.id}",
            Kind.ADDRESS_CONFIRMATION,
            new_email,
            person.language,
            {"change_id": change.id},
            account_id=person.account_id,
            contact_id=contact_id,
        )
    ]
    if person.email:
        letters.append(
            Letter(
                f"address_notice:{change.id}",
                Kind.ADDRESS_NOTICE,
                person.email,
                person.language,
                {"new_email": new_email},
                account_id=person.account_id,
                contact_id=contact_id,
            )
        )
    mail.queue_all(db, letters, now=now)


def _is_taken(db: Session, email: str, person: Contact) -> bool:
    """By a colleague (gone ones too: the row is theirs), by one of ours."""
    colleague = select(Contact.id).where(
        Contact.account_id == person.account_id, Contact.email == email, Contact.id != person.id
    )
    ours = select(Staff.id).where(Staff.email == email)
    return db.scalar(colleague.limit(1)) is not None or db.scalar(ours.limit(1)) is not None


def _dropped(contact_id: int, now: datetime) -> Update:
    waiting = update(AddressChange).where(AddressChange.contact_id == contact_id, text(OPEN_CHANGE))
    return waiting.values(dropped_at=now)


def change_is_open(change: AddressChange, now: datetime) -> bool:
    ended = change.confirmed_at or change.dropped_at
    return ended is None and now < change.expires_at and change.tries < auth.MAX_TRIES


def right_new_address(db: Session, change: AddressChange, typed: str) -> bool:
    """Whether that is the address the mail went to; counted first, as in `right_address`."""
    counted = _changed(
        db,
        update(AddressChange)
        .where(AddressChange.id == change.id, AddressChange.tries < auth.MAX_TRIES)
        .values(tries=AddressChange.tries + 1),
    )
    db.refresh(change)
    return counted == 1 and normalised_email(typed) == change.new_email


def confirm_address(db: Session, *, change_id: int, now: datetime) -> None:
    """From now on it is their address; links to the old one open nothing any more. Errors: NotFound, AddressNotUsable."""
    contact_id = db.get_one(AddressChange, change_id).contact_id
    person = db.get_one(Contact, contact_id)
    _lock(db, person.account_id)
    db.refresh(person)
    confirmed = _changed(
        db,
        update(AddressChange)
        .where(AddressChange.id == change_id, text(OPEN_CHANGE), AddressChange.expires_at > now)
        .values(confirmed_at=now),
    )
    if confirmed != 1 or person.disabled_at is not None:
        raise NotFound
    change = db.get_one(AddressChange, change_id, populate_existing=True)
    if _is_taken(db, change.new_email, person):
        raise AddressNotUsable
    refused = mail.refusals(db, change.old_email)
    person.email = change.new_email
    db.flush()
    for purpose in refused:
        # What they didn't want at the old address they don't want at the new one.
        refuse(db, change.new_email, purpose, now=now)
    db.execute(delete(auth.SignInLink).where(auth.SignInLink.contact_id == contact_id))
    refresh_search(db, person.account_id)
    event = Event(Happened.ADDRESS_CHANGED, f"contact:{contact_id}", now, person.account_id, None, contact_id)
    audit.note(db, event)


# The start of a colleague


def begin_start(db: Session, contact_id: int, *, now: datetime) -> None:
    """Gives somebody a short start of their own; who has one keeps it."""
    db.execute(insert_for(db, Start).values(contact_id=contact_id, began_at=now).on_conflict_do_nothing())


def begin_starts(db: Session, account_id: int, *, now: datetime) -> None:
    """The same for everybody who came to an account at this moment, but its main contact, who knows already."""
    new = select(Contact.id, literal(now, UtcDateTime())).where(
        Contact.account_id == account_id, Contact.created_at == now, Contact.is_primary.is_(False)
    )
    db.execute(
        insert_for(db, Start).from_select(["contact_id", "began_at"], new.where(true())).on_conflict_do_nothing()
    )


def take_step(db: Session, contact_id: int, step: StartStep, *, now: datetime) -> None:
    """Notes a step of somebody's start, if they have one; taken twice it was taken once."""
    if db.get(Start, contact_id) is not None:
        db.execute(
            insert_for(db, StartStepDone).values(contact_id=contact_id, step=step, at=now).on_conflict_do_nothing()
        )


def put_start_away(db: Session, contact_id: int, *, now: datetime) -> None:
    """Home no longer offers it; what was done stays noted."""
    _changed(
        db, update(Start).where(Start.contact_id == contact_id, Start.dismissed_at.is_(None)).values(dismissed_at=now)
    )


# Being forgotten


def ask_to_be_forgotten(db: Session, *, contact_id: int, words: str, now: datetime) -> None:
    """Tells every administrator; asked twice it is asked once."""
    person = db.get_one(Contact, contact_id)
    asked = db.execute(
        insert_for(db, ErasureRequest)
        .values(contact_id=contact_id, words=words, asked_at=now)
        .on_conflict_do_nothing()
        .returning(ErasureRequest.id)
    ).scalar_one_or_none()
    if asked is None:
        return
    administrators = db.scalars(
        select(Staff).where(Staff.role == Role.ADMINISTRATOR, Staff.disabled_at.is_(None)).order_by(Staff.id)
    ).all()
    company = db.get_one(Account, person.account_id).name
    for reader in administrators:
        context = {"person_name": person.name, "company": company, "words": words}
        context["path"] = f"/staff/customers/{person.account_id}/people/{contact_id}"
        mail.queue(
            db,
            Letter(
                f"erasure_asked:{asked}:{reader.id}",
                Kind.ERASURE_ASKED,
                reader.email,
                reader.language,
                context,
                account_id=person.account_id,
                staff_id=reader.id,
            ),
            now=now,
        )
    event = Event(Happened.ERASURE_ASKED, f"contact:{contact_id}", now, person.account_id, None, contact_id)
    audit.note(db, event._replace(detail={"note": words} if words else {}))


def settle_erasure(db: Session, *, request_id: int, by: str, now: datetime) -> None:
    """An administrator says that it is dealt with. Errors: NotFound."""
    row = db.get(ErasureRequest, request_id)
    if row is None:
        raise NotFound
    if row.settled_at is None:
        row.settled_at, row.settled_by = now, by
        db.flush()
