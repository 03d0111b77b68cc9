"""Who is asking: sign-in links, sessions, rate limits, API tokens, staff identities at a sign-in provider.

The database keeps nothing that opens anything: session and API tokens are stored hashed, links and codes are derived.
"""

import hmac
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    CheckConstraint,
    CursorResult,
    Delete,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    Update,
    bindparam,
    case,
    delete,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal import links
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role, normalised_email
from portal.audit import Event, Happened, note
from portal.db import Base, By, Database, Id, choice, insert_for, rows_of
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.instants import UtcDateTime
from portal.mail import LetterRow, Withheld
from portal.policy import Permission, may

MAX_TRIES = 5
REFRESH_AFTER = timedelta(minutes=5)
"""How stale `last_seen_at` may get: a write every few minutes, not one a page."""


class LinkPurpose(StrEnum):
    SIGN_IN = "sign_in"
    WELCOME = "welcome"


class LinkEnd(StrEnum):
    """Why a link opens nothing any more, other than by its date."""

    USED = "used"
    REPLACED = "replaced"
    WORN_OUT = "worn_out"


class Scope(StrEnum):
    """What an API token may do; `write` includes `read`."""

    READ = "read"
    WRITE = "write"


VALID_FOR = {LinkPurpose.SIGN_IN: timedelta(minutes=10), LinkPurpose.WELCOME: timedelta(days=7)}


class Lifetime(NamedTuple):
    """How long a session lasts without use, and at most."""

    idle: timedelta
    absolute: timedelta


CUSTOMER_SESSION = Lifetime(timedelta(hours=12), timedelta(days=30))
STAFF_SESSION = Lifetime(timedelta(minutes=30), timedelta(hours=12))


class SignInLink(Base):
    """One mailed link. One for an unknown address is kept too (it opens nothing), so that both look the same."""

    __tablename__ = "sign_in_links"
    __table_args__ = (
        CheckConstraint("contact_id IS NULL OR staff_id IS NULL", name="one_person"),
        CheckConstraint("(ended_at IS NULL) = (ended_why IS NULL)", name="ended_with_reason"),
        Index("ix_sign_in_links_email", "email"),
        Index("ix_sign_in_links_browser", "browser"),
        # Old ones are tidied away, and letters name them by number: a number that came again would be somebody else's.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    purpose: Mapped[LinkPurpose] = mapped_column(choice(LinkPurpose, "purpose"))
    nonce: Mapped[str] = mapped_column(String(32))
    email: Mapped[str] = mapped_column(String(254))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    browser: Mapped[str] = mapped_column(String(64), default="")
    """Hash of the asking browser's cookie; empty for a welcome link, which nobody asked for."""
    next_path: Mapped[str] = mapped_column(String(500), default="")
    tries: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[LinkEnd | None] = mapped_column(choice(LinkEnd, "ended_why"))

    def is_open(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.expires_at


class BrowserSession(Base):
    """One signed-in browser of one person. Ending a session deletes its row."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("(contact_id IS NULL) <> (staff_id IS NULL)", name="one_person"),
        Index("ix_sessions_contact_id", "contact_id"),
        Index("ix_sessions_staff_id", "staff_id"),
    )

    id: Mapped[Id]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id", ondelete="CASCADE"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class RateCount(Base):
    """How often something was done in the window that began at `window_at`."""

    __tablename__ = "rate_counts"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    window_at: Mapped[datetime]
    count: Mapped[int] = mapped_column(Integer)


class ApiToken(Base):
    """What an integration signs its calls with; shown once, kept as a hash."""

    __tablename__ = "api_tokens"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(80), unique=True)
    scope: Mapped[Scope] = mapped_column(choice(Scope, "scope"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    created_by: Mapped[By]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class StaffIdentity(Base):
    """Who a member of staff is at a sign-in provider: issuer and subject, never the address (it can be reassigned)."""

    __tablename__ = "staff_identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[Id]
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class Customer(NamedTuple):
    """A contact who is signed in, at one of their accounts."""

    session_id: int
    contact_id: int
    account_id: int
    name: str
    email: str
    language: str
    timezone: str
    is_primary: bool
    account_name: str
    portrait: str = ""
    plan: str = ""
    """Of the account."""

    @property
    def by(self) -> str:
        return f"contact:{self.contact_id}"


class StaffMember(NamedTuple):
    """A member of staff who is signed in."""

    session_id: int
    staff_id: int
    name: str
    email: str
    role: Role
    language: str
    timezone: str
    portrait: str = ""

    @property
    def by(self) -> str:
        return f"staff:{self.staff_id}"

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission)


class ApiClient(NamedTuple):
    """An integration, by its token."""

    token_id: int
    name: str
    scope: Scope
    last_used_at: datetime | None

    @property
    def by(self) -> str:
        return f"api:{self.name}"


Person = Customer | StaffMember


class TooMany(Refused):
    """Too often in too short a time; `retry_after` in seconds."""

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(N_("That was tried too often. Please wait a little and try again."))
        self.retry_after = retry_after


def hashed(token: str) -> str:
    """What is stored of a random token (256 bits need no slow hash)."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


# Sign-in links


class Addressee(NamedTuple):
    """Whom an address belongs to: a contact or a member of staff, and the language they read; unknown: neither."""

    contact_id: int | None = None
    staff_id: int | None = None
    account_id: int | None = None
    language: str = ""

    @property
    def is_known(self) -> bool:
        return self.contact_id is not None or self.staff_id is not None


def addressee(db: Session, email: str) -> Addressee:
    """Who signs in with this address. Staff wins over a contact; of several contacts the newest."""
    email = normalised_email(email)
    staff = db.execute(select(Staff.id, Staff.language).where(Staff.email == email, Staff.disabled_at.is_(None)))
    contacts = db.execute(
        select(Contact.id, Contact.account_id, Contact.language)
        .where(Contact.email == email, Contact.disabled_at.is_(None))
        .order_by(Contact.id.desc())
        .limit(1)
    )
    member, contact = staff.one_or_none(), contacts.one_or_none()
    if member:
        return Addressee(staff_id=member.id, language=member.language)
    return Addressee(contact.id, None, contact.account_id, contact.language) if contact else Addressee()


def ask_for_link(db: Session, email: str, who: Addressee, *, browser: str, next_path: str, now: datetime) -> SignInLink:
    """A fresh link for that address, bound to the asking browser's cookie value; an older one dies."""
    email = normalised_email(email)
    db.execute(
        update(SignInLink)
        .where(SignInLink.email == email, SignInLink.purpose == LinkPurpose.SIGN_IN, SignInLink.ended_at.is_(None))
        .values(ended_at=now, ended_why=LinkEnd.REPLACED)
    )
    return _new_link(
        db,
        LinkPurpose.SIGN_IN,
        email,
        contact_id=who.contact_id,
        staff_id=who.staff_id,
        browser=hashed(browser),
        next_path=next_path,
        now=now,
    )


def welcome_link(db: Session, contact_id: int, *, now: datetime) -> SignInLink:
    """The link of a welcome mail: seven days, once, and only for who can type the address it was sent to.

    Errors: NotFound for a contact without an e-mail.
    """
    email = db.scalar(select(Contact.email).where(Contact.id == contact_id))
    if not email:
        raise NotFound
    return _new_link(
        db, LinkPurpose.WELCOME, email, contact_id=contact_id, staff_id=None, browser="", next_path="", now=now
    )


def welcome_links(db: Session, addresses: Mapping[int, str], *, now: datetime) -> dict[int, int]:
    """The same for many contacts at once, by their id and address: contact to link."""
    made = [
        SignInLink(
            purpose=LinkPurpose.WELCOME,
            nonce=links.new_nonce(),
            email=email,
            contact_id=contact_id,
            created_at=now,
            expires_at=now + VALID_FOR[LinkPurpose.WELCOME],
        )
        for contact_id, email in addresses.items()
    ]
    db.add_all(made)
    db.flush()
    return {link.contact_id: link.id for link in made if link.contact_id is not None}


def _new_link(
    db: Session,
    purpose: LinkPurpose,
    email: str,
    *,
    contact_id: int | None,
    staff_id: int | None,
    browser: str,
    next_path: str,
    now: datetime,
) -> SignInLink:
    link = SignInLink(
        purpose=purpose,
        nonce=links.new_nonce(),
        email=email,
        contact_id=contact_id,
        staff_id=staff_id,
        browser=browser,
        next_path=next_path,
        created_at=now,
        expires_at=now + VALID_FOR[purpose],
    )
    db.add(link)
    db.flush()
    return link


def link_path(secret: str, link: SignInLink) -> str:
    """Where the link leads: `/sign-in/17.k3J…`."""
    return f"/sign-in/{links.seal(secret, link.purpose, link.id, link.nonce)}"


def link_of(db: Session, token: str, *, secret: str) -> SignInLink | None:
    """The link a token was made for, open or not; None for a forged one."""
    row = links.row_of(token)
    link = db.get(SignInLink, row) if row is not None else None
    return link if link and links.is_sealed(token, secret, link.purpose, link.nonce) else None


def link_of_browser(db: Session, browser: str) -> SignInLink | None:
    """The newest link that this browser asked for."""
    if not browser:
        return None
    asked = select(SignInLink).where(SignInLink.browser == hashed(browser)).order_by(SignInLink.id.desc()).limit(1)
    return db.scalar(asked)


def sign_in_words(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """What a sign-in mail says besides its template: the link and the code. Errors: Withheld where the link ended."""
    link = _link_in(db, row)
    return {"sign_in_url": house.url(link_path(house.secret, link)), "code": mail_code(house.secret, link)}


def welcome_words(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The link of a welcome mail; nothing (the mail names the sign-in page) if it was queued without one."""
    if "link_id" not in row.context:
        return {}
    return {"sign_in_url": house.url(link_path(house.secret, _link_in(db, row)))}


def _link_in(db: Session, row: LetterRow) -> SignInLink:
    link = db.get(SignInLink, row.context["link_id"])
    if link is None or link.ended_at is not None:
        raise Withheld(N_("The link was replaced by a newer one, or used already."))
    return link


def mail_code(secret: str, link: SignInLink) -> str:
    """Six digits in the mail, typed on the page where sign-in was asked for."""
    return _code(secret, "mail_code", link)


def page_code(secret: str, link: SignInLink) -> str:
    """Six digits on that page, typed where the link was opened if that is another browser."""
    return _code(secret, "page_code", link)


def _code(secret: str, purpose: str, link: SignInLink) -> str:
    made = hmac.new(secret.encode(), f"{purpose}:{link.id}:{link.nonce}".encode(), sha256).digest()
    return f"{int.from_bytes(made[:8]) % 1_000_000:06d}"


def try_once(db: Session, link: SignInLink, *, typed: str, expected: str, now: datetime) -> bool:
    """Whether the words typed are the expected ones. Each try is counted first, so that parallel guesses gain nothing;
    the fifth wrong one ends the link."""
    counted = _rows_changed(
        db,
        update(SignInLink)
        .where(SignInLink.id == link.id, SignInLink.tries < MAX_TRIES, SignInLink.ended_at.is_(None))
        .values(tries=SignInLink.tries + 1),
    )
    if counted != 1:
        return False
    db.refresh(link)
    if hmac.compare_digest(typed.encode("utf-8", "replace"), expected.encode()):
        return True
    if link.tries >= MAX_TRIES:
        link.ended_at, link.ended_why = now, LinkEnd.WORN_OUT
    note(
        db,
        Event(Happened.SIGN_IN_REFUSED, _link_by(link), now, contact_id=link.contact_id, detail={"tries": link.tries}),
    )
    return False


def digits(typed: str) -> str:
    """A code as people type it (`042 917`, `042-917`), without what is no digit."""
    return re.sub(r"[^0-9]", "", typed)[:12]


def use_link(db: Session, link: SignInLink, *, now: datetime) -> bool:
    """Spends the link; False if somebody was faster, it is too late, or its person is gone. Exactly one caller gets True."""
    spent = _rows_changed(
        db,
        update(SignInLink)
        .where(SignInLink.id == link.id, SignInLink.ended_at.is_(None), SignInLink.expires_at > now)
        .values(ended_at=now, ended_why=LinkEnd.USED),
    )
    db.refresh(link)
    return spent == 1 and _is_welcome_here(db, contact_id=link.contact_id, staff_id=link.staff_id)


def _is_welcome_here(db: Session, *, contact_id: int | None, staff_id: int | None) -> bool:
    """Whether that person exists and is not disabled."""
    if staff_id is not None:
        found = db.scalar(select(Staff.id).where(Staff.id == staff_id, Staff.disabled_at.is_(None)))
    else:
        found = db.scalar(select(Contact.id).where(Contact.id == contact_id, Contact.disabled_at.is_(None)))
    return found is not None


def _link_by(link: SignInLink) -> str:
    if link.staff_id is not None:
        return f"staff:{link.staff_id}"
    return f"contact:{link.contact_id}" if link.contact_id is not None else "stranger"


# Sessions


def open_session(
    db: Session, *, contact_id: int | None = None, staff_id: int | None = None, way: str, now: datetime
) -> str:
    """A new session for exactly one person; gives the token for the cookie. `way`: how they signed in, for the audit."""
    token = secrets.token_urlsafe(32)
    db.add(
        BrowserSession(
            token_hash=hashed(token), contact_id=contact_id, staff_id=staff_id, created_at=now, last_seen_at=now
        )
    )
    account_id = db.scalar(select(Contact.account_id).where(Contact.id == contact_id)) if contact_id else None
    by = f"contact:{contact_id}" if contact_id else f"staff:{staff_id}"
    note(db, Event(Happened.SIGNED_IN, by, now, account_id=account_id, contact_id=contact_id, detail={"way": way}))
    return token


_WHO = (
    select(
        BrowserSession.id,
        BrowserSession.created_at,
        BrowserSession.last_seen_at,
        Contact.id,
        Contact.account_id,
        Contact.name,
        Contact.email,
        Contact.language,
        Contact.timezone,
        Contact.is_primary,
        Contact.disabled_at,
        Account.name,
        Contact.portrait,
        Account.plan,
        Staff.id,
        Staff.name,
        Staff.email,
        Staff.role,
        Staff.language,
        Staff.timezone,
        Staff.portrait,
        Staff.disabled_at,
    )
    .outerjoin(Contact, Contact.id == BrowserSession.contact_id)
    .outerjoin(Account, Account.id == Contact.account_id)
    .outerjoin(Staff, Staff.id == BrowserSession.staff_id)
    .where(BrowserSession.token_hash == bindparam("token_hash"))
)


class Found(NamedTuple):
    """A live session: who it is, and whether it is time to note that they were here."""

    person: Person
    is_stale: bool


def find_session(db: Session, token: str, *, now: datetime) -> Found | None:
    """Who holds this cookie; None if the session ended, or its person is disabled. One query."""
    found = rows_of(db, _WHO, {"token_hash": hashed(token)})
    if not found:
        return None
    session_id, created_at, last_seen_at, *who = found[0]
    contact, staff = who[:11], who[11:]
    lifetime = STAFF_SESSION if staff[0] is not None else CUSTOMER_SESSION
    if now >= created_at + lifetime.absolute or now >= last_seen_at + lifetime.idle:
        return None
    is_stale = now - last_seen_at >= REFRESH_AFTER
    if staff[0] is not None:
        *member, disabled_at = staff
        return None if disabled_at else Found(StaffMember(session_id, *member), is_stale)
    contact_id, account_id, name, email, language, timezone, is_primary, disabled_at, *more = contact
    if disabled_at:
        return None
    customer = Customer(session_id, contact_id, account_id, name, email or "", language, timezone, is_primary, *more)
    return Found(customer, is_stale)


def keep_awake(db: Session, session_id: int, *, now: datetime) -> None:
    """Notes that the session was used."""
    db.execute(update(BrowserSession).where(BrowserSession.id == session_id).values(last_seen_at=now))


def end_session(db: Session, token: str) -> None:
    """Ends the session of that cookie, if there is one."""
    db.execute(delete(BrowserSession).where(BrowserSession.token_hash == hashed(token)))


def sign_out(db: Session, me: Person, *, everywhere: bool, now: datetime) -> None:
    """Ends this session, or every session of this person (at all of their accounts)."""
    account_id, contact_id = (me.account_id, me.contact_id) if isinstance(me, Customer) else (None, None)
    if not everywhere:
        db.execute(delete(BrowserSession).where(BrowserSession.id == me.session_id))
    elif isinstance(me, StaffMember):
        end_sessions(db, staff_id=me.staff_id)
    else:
        for other in db.scalars(select(Contact.id).where(Contact.email == me.email)).all():
            end_sessions(db, contact_id=other)
    detail = {"everywhere": everywhere}
    note(db, Event(Happened.SIGNED_OUT, me.by, now, account_id=account_id, contact_id=contact_id, detail=detail))


def end_sessions(db: Session, *, contact_id: int | None = None, staff_id: int | None = None) -> None:
    """Ends every session of one person, and what could open a new one; for whoever disables them."""
    for table in (BrowserSession, SignInLink):
        whose = table.contact_id == contact_id if contact_id is not None else table.staff_id == staff_id
        db.execute(delete(table).where(whose))


class AccountChoice(NamedTuple):
    """One of the accounts at which a person is a contact."""

    contact_id: int
    account_name: str


def accounts_of(db: Session, me: Customer) -> list[AccountChoice]:
    """The accounts that this person can switch between, by name; just one for most."""
    rows = db.execute(
        select(Contact.id, Account.name)
        .join(Account, Account.id == Contact.account_id)
        .where(Contact.email == me.email, Contact.email != "", Contact.disabled_at.is_(None))
        .order_by(Account.name, Contact.id)
    )
    return [AccountChoice(*row) for row in rows]


def switch_account(db: Session, me: Customer, contact_id: int) -> None:
    """Goes on as the same person at another of their accounts. Errors: NotFound for one that is not theirs."""
    if contact_id not in {choice.contact_id for choice in accounts_of(db, me)}:
        raise NotFound
    db.execute(update(BrowserSession).where(BrowserSession.id == me.session_id).values(contact_id=contact_id))


def choose_language(db: Session, me: Person, language: Language) -> None:
    """The language this person reads from now on, in pages and in mails."""
    if isinstance(me, StaffMember):
        db.execute(update(Staff).where(Staff.id == me.staff_id).values(language=language))
    else:
        db.execute(update(Contact).where(Contact.id == me.contact_id).values(language=language))


# Rate limits


@dataclass(frozen=True)
class Limit:
    """So many in such a time."""

    name: str
    most: int
    per: timedelta


SIGN_IN_MAILS_TO_AN_ADDRESS = Limit("sign_in_mails_to", 5, timedelta(minutes=15))
SIGN_IN_MAILS_BY_A_CLIENT = Limit("sign_in_mails_by", 30, timedelta(hours=1))
CODES_BY_A_CLIENT = Limit("codes_by", 40, timedelta(minutes=15))


def spend(db: Session, limit: Limit, whose: str, *, now: datetime, times: int = 1) -> None:
    """Counts one more of it (or several at once) for an address or a client.

    Errors: TooMany once the limit is spent for this window.
    """
    opened = RateCount.window_at > now - limit.per
    since, count = db.execute(
        insert_for(db, RateCount)
        .values(key=f"{limit.name}:{hashed(whose)[:40]}", window_at=now, count=times)
        .on_conflict_do_update(
            index_elements=[RateCount.key],
            set_={
                "window_at": case((opened, RateCount.window_at), else_=literal(now, UtcDateTime())),
                "count": case((opened, RateCount.count + times), else_=times),
            },
        )
        .returning(RateCount.window_at, RateCount.count)
    ).one()
    if count > limit.most:
        raise TooMany(max(1, int((since + limit.per - now).total_seconds())))


class Allowances:
    """Calls of the API that this process counted in the database ahead of time: a write every few calls, not one a call."""

    AT_ONCE = 20

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        self._lock = threading.Lock()

    def take(self, database: Database, token_id: int, *, most: int, now: datetime) -> None:
        """One call of a token that may make `most` a minute. Errors: TooMany."""
        times = max(1, min(self.AT_ONCE, most // 100))
        with self._lock:
            left = self._left.get(token_id, 0)
            if left:
                self._left[token_id] = left - 1
                return
        with database.write() as db:
            spend(db, Limit("api_calls", most, timedelta(minutes=1)), str(token_id), now=now, times=times)
        with self._lock:
            self._left[token_id] = self._left.get(token_id, 0) + times - 1


# API tokens


def create_token(db: Session, name: str, *, scope: Scope, by: str, now: datetime) -> str:
    """A new token; the only time that anybody sees it. Errors: Refused for a name that is taken."""
    if db.scalar(select(ApiToken.id).where(ApiToken.name == name)) is not None:
        raise Refused(N_("There is a token called %(name)s already."), name=name)
    token = f"onward_{secrets.token_urlsafe(32)}"
    db.add(ApiToken(name=name, scope=scope, token_hash=hashed(token), created_at=now, created_by=by))
    note(db, Event(Happened.TOKEN_CREATED, by, now, detail={"name": name, "scope": scope.value}))
    return token


def revoke_token(db: Session, name: str, *, by: str, now: datetime) -> None:
    """Ends a token at once. Errors: NotFound if there is none of that name that still works."""
    revoked = _rows_changed(
        db, update(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
    )
    if revoked != 1:
        raise NotFound
    note(db, Event(Happened.TOKEN_REVOKED, by, now, detail={"name": name}))


def find_token(db: Session, token: str) -> ApiClient | None:
    """Whose token it is; None for an unknown or a revoked one."""
    columns = (ApiToken.id, ApiToken.name, ApiToken.scope, ApiToken.last_used_at)
    row = db.execute(select(*columns).where(ApiToken.token_hash == hashed(token), ApiToken.revoked_at.is_(None)))
    found = row.one_or_none()
    return ApiClient(*found) if found else None


def note_token_use(db: Session, client: ApiClient, *, now: datetime) -> None:
    db.execute(update(ApiToken).where(ApiToken.id == client.token_id).values(last_used_at=now))


# Staff at a sign-in provider


def staff_of_identity(db: Session, *, issuer: str, subject: str) -> int | None:
    """The member of staff known by that identity, unless disabled."""
    return db.scalar(
        select(Staff.id)
        .join(StaffIdentity, StaffIdentity.staff_id == Staff.id)
        .where(StaffIdentity.issuer == issuer, StaffIdentity.subject == subject, Staff.disabled_at.is_(None))
    )


def link_identity(db: Session, *, issuer: str, subject: str, staff_id: int, now: datetime) -> None:
    """From now on this identity is that member of staff. A second identical call changes nothing."""
    db.execute(
        insert_for(db, StaffIdentity)
        .values(issuer=issuer, subject=subject, staff_id=staff_id, created_at=now)
        .on_conflict_do_nothing(index_elements=["issuer", "subject"])
    )


# Housekeeping


def forget_what_ended(db: Session, now: datetime) -> int:
    """Deletes sessions that are over, links and counts that nobody needs; gives how many rows went."""
    gone = 0
    for statement in (
        delete(BrowserSession).where(
            or_(
                BrowserSession.created_at < now - CUSTOMER_SESSION.absolute,
                BrowserSession.last_seen_at < now - CUSTOMER_SESSION.idle,
            )
        ),
        delete(SignInLink).where(SignInLink.expires_at < now - timedelta(days=30)),
        delete(RateCount).where(RateCount.window_at < now - timedelta(days=1)),
    ):
        gone += _rows_changed(db, statement)
    return gone


def _rows_changed(db: Session, statement: Update | Delete) -> int:
    done = db.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", done).rowcount
