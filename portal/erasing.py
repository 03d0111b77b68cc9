"""Erasing one person: what says who they are and what they wrote goes from every table, what is counted stays.

`TREATED` says for each table what happens to it; a test holds that none is missing. Whatever is written about them elsewhere
in their company's records (a title, a note, a letter to us) loses their name, address, number and quoted words.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast

import phonenumbers
from sqlalchemy import ColumnElement, Table, delete, false, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from portal import audit, auth, links, mail
from portal.accounts import people
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.people_models import ErasureRequest
from portal.audit import Event, Happened
from portal.db import rows_of
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import actions as journeys
from portal.journeys.import_models import DealImport, ImportLine
from portal.mail import Purpose
from portal.meetings import actions as meetings
from portal.messages import findable
from portal.messages.models import Message
from portal.search import index
from portal.search.models import SearchDocument
from portal.search.rules import Kind, of_contact, words_in
from portal.surveys.rules import QuestionKind
from portal.tables import EVERY
from portal.words import translate

SHOWN = N_("An erased person")
"""Stands for the name, in the language that they read."""
WORDS = N_("(erased)")
"""Stands for words that they wrote, where something has to stand."""
LETTER_LEFT = N_("The person was erased.")
MEETING_LEFT = N_("The person is no longer a contact.")


class Why(StrEnum):
    """Why somebody is erased; nothing in anybody's words, which might name them again."""

    ASKED = "asked"
    LEFT = "left"
    ENDED = "ended"
    MISTAKE = "mistake"


class MainContactFirst(Refused):
    def __init__(self) -> None:
        super().__init__(N_("They are the main contact. Make somebody else the main contact first."))


class FileWaits(Refused):
    """A file that waits would bring them back, or holds them where nothing can be cut out of it."""

    def __init__(self, file: str) -> None:
        super().__init__(
            N_("The file “%(file)s” waits on the import page and names them. Take it in or throw it away first."),
            file=file,
        )


class Person(NamedTuple):
    """Who goes, as they were."""

    id: int
    account_id: int
    name: str
    email: str
    phone: str
    shown: str
    words: str
    at: datetime

    @property
    def by(self) -> str:
        return f"contact:{self.id}"


# How tables are dealt with

Where = Callable[[Person], ColumnElement[bool]]
Values = Callable[[Person], dict[str, Any]]


class Goes(NamedTuple):
    """These rows are deleted."""

    where: Where


class Blanks(NamedTuple):
    """These rows stay and are given these values."""

    where: Where
    values: Values


class Cuts(NamedTuple):
    """In these rows the person's name, address, number and words are taken out of these columns."""

    where: Where
    columns: tuple[str, ...]


Step = Goes | Blanks | Cuts

_T = EVERY


def _of(table: str, column: str = "contact_id") -> Where:
    return lambda person: _T[table].c[column] == person.id


def _account(table: str) -> Where:
    return lambda person: _T[table].c.account_id == person.account_id


def _journey(table: str) -> Where:
    own = _T["journeys"]
    return lambda person: _T[table].c.journey_id.in_(select(own.c.id).where(own.c.account_id == person.account_id))


def _flag(table: str, *, theirs: bool = False) -> Where:
    flags = _T["flags"]

    def where(person: Person) -> ColumnElement[bool]:
        whose = flags.c.contact_id == person.id if theirs else flags.c.account_id == person.account_id
        return _T[table].c.flag_id.in_(select(flags.c.id).where(whose))

    return where


def _made(table: str, column: str = "created_by") -> Where:
    return lambda person: _T[table].c[column] == person.by


def _at(table: str, column: str) -> Where:
    """Rows with their address, whoever they are about."""
    address = _T[table].c[column]
    return lambda person: func.lower(address) == person.email.lower() if person.email else false()


def _theirs_or_at(table: str, column: str) -> Where:
    at = _at(table, column)
    return lambda person: or_(_T[table].c.contact_id == person.id, at(person))


def _fixed(**values: Any) -> Values:
    return lambda _person: dict(values)


def _media_of(column: ColumnElement[Any]) -> Where:
    media = _T["media"]
    return lambda person: column.in_(select(media.c.id).where(media.c.created_by == person.by))


def _cut(table: str, where: Where, *columns: str) -> Cuts:
    return Cuts(where, columns)


def _came_in(person: Person) -> ColumnElement[bool]:
    return or_(_T["incoming_mails"].c.sender == person.by, _at("incoming_mails", "from_email")(person))


_ATTACHED = _T["message_attachments"].c.medium_id

TREATED: dict[str, tuple[Step, ...]] = {
    # Who they are
    "contacts": (
        Blanks(
            lambda person: _T["contacts"].c.id == person.id,
            lambda person: {
                "name": person.shown,
                "email": None,
                "phone": "",
                "birthday": None,
                "job_title": "",
                "portrait": "",
                "is_primary": False,
                "erased_at": person.at,
            },
        ),
    ),
    "accounts": (_cut("accounts", lambda person: _T["accounts"].c.id == person.account_id, "notes", "churn_reason"),),
    "address_changes": (Goes(_of("address_changes")),),
    "asking_choices": (Goes(_of("asking_choices")),),
    "calendar_feeds": (Goes(_of("calendar_feeds")),),
    "colleague_invitations": (
        Goes(_theirs_or_at("colleague_invitations", "email")),
        Blanks(_made("colleague_invitations", "invited_by"), lambda person: {"inviter_name": person.shown}),
        _cut("colleague_invitations", _account("colleague_invitations"), "inviter_name"),
    ),
    "contact_rights": (Goes(_of("contact_rights")),),
    "contact_wishes": (Goes(_of("contact_wishes")),),
    "erasure_requests": (Blanks(_of("erasure_requests"), _fixed(words="")),),
    "media": (Goes(lambda person: _T["media"].c.created_by == person.by),),
    "media_bytes": (Goes(_media_of(_T["media_bytes"].c.medium_id)),),
    "message_attachments": (Goes(_media_of(_ATTACHED)),),
    "news_seen": (Goes(_of("news_seen")),),
    "read_marks": (Goes(_of("read_marks")),),
    "sessions": (Goes(_of("sessions")),),
    "sign_in_links": (Goes(_theirs_or_at("sign_in_links", "email")),),
    "start_steps_done": (Goes(_of("start_steps_done")),),
    "starts": (Goes(_of("starts")),),
    # What they answered: the scores stay, the words and how they came go
    "answers": (Blanks(_of("answers"), _fixed(comment="", evidence={}, form_nonce=None)),),
    "flags": (
        Blanks(_of("flags"), _fixed(words="")),
        _cut("flags", _account("flags"), "words"),
    ),
    "invitations": (Blanks(_of("invitations"), lambda _person: {"nonce": links.new_nonce()}),),
    "quotes": (Goes(_of("quotes")), _cut("quotes", _account("quotes"), "words", "consent")),
    "resolutions": (
        Blanks(_flag("resolutions", theirs=True), _fixed(undone_words="")),
        _cut("resolutions", _flag("resolutions"), "note", "undone_words"),
    ),
    "survey_drafts": (
        Goes(
            lambda person: _T["survey_drafts"].c.invitation_id.in_(
                select(_T["invitations"].c.id).where(_T["invitations"].c.contact_id == person.id)
            )
        ),
    ),
    # What they said and did otherwise
    "conversations": (
        Blanks(_of("conversations"), _fixed(note="")),
        _cut("conversations", _journey("conversations"), "note"),
    ),
    "incoming_mails": (
        Blanks(_came_in, _fixed(from_email="", subject="", text="")),
        _cut("incoming_mails", _account("incoming_mails"), "subject", "text"),
    ),
    "meetings": (
        Blanks(
            _of("meetings"),
            lambda _person: {"agenda": "", "place": "", "cancelled_why": "", "nonce": links.new_nonce()},
        ),
        _cut("meetings", _account("meetings"), "agenda", "place", "cancelled_why"),
    ),
    "meeting_offers": (Goes(_of("meeting_offers")),),
    "messages": (
        Blanks(
            _of("messages"), lambda person: {"text": person.words, "original": "", "left_out": [], "message_id": ""}
        ),
        _cut("messages", _account("messages"), "text", "original", "left_out"),
    ),
    "offered_times": (Goes(_of("offered_times")),),
    "stuck_notes": (Blanks(_of("stuck_notes"), _fixed(words="")),),
    "tutorial_progress": (Blanks(_of("tutorial_progress"), _fixed(words="")),),
    # The company's records, in which they may stand
    "activities": (_cut("activities", _journey("activities"), "title", "note"),),
    "due_actions": (_cut("due_actions", _journey("due_actions"), "error"),),
    "goals": (
        Blanks(_made("goals"), lambda person: {"title": person.words, "measure": ""}),
        _cut("goals", _journey("goals"), "title", "measure"),
    ),
    "milestones": (_cut("milestones", _journey("milestones"), "title_en", "title_pt", "help_en", "help_pt"),),
    "pending_issues": (
        Blanks(_made("pending_issues"), lambda person: {"problem": person.words, "solution": ""}),
        _cut("pending_issues", _journey("pending_issues"), "problem", "solution"),
    ),
    "touchpoints": (
        _cut("touchpoints", _journey("touchpoints"), "title_en", "title_pt", "objective_en", "objective_pt"),
    ),
    "visits": (_cut("visits", _journey("visits"), "reason", "evidence"),),
    "public_plans": (_cut("public_plans", _account("public_plans"), "prospect", "entries"),),
    "audit_events": (_cut("audit_events", _account("audit_events"), "detail"),),
    "letters": (
        Blanks(_theirs_or_at("letters", "to_email"), _fixed(to_email="", context={}, subject="", error="")),
        _cut("letters", _account("letters"), "context", "subject", "error"),
    ),
    "deal_import_lines": (Goes(_account("deal_import_lines")),),
    "idempotency_keys": (_cut("idempotency_keys", lambda _person: _T["idempotency_keys"].c.id > 0, "answer"),),
    # Friends whom they brought are people of their own; what nobody accepted is forgotten, and the link opens nothing
    "referral_links": (Blanks(_of("referral_links"), lambda _person: {"nonce": links.new_nonce()}),),
    "referral_invitations": (),
    "referrals": (
        Blanks(_at("referrals", "email"), lambda person: {"name": person.shown, "company": "", "email": ""}),
    ),
    "search_documents": (),
    "search_spellings": (),
}
"""What happens to each table, in no particular order but that of its own steps; `UNTOUCHED` has the others."""

UNTOUCHED = frozenset(
    # No words about people at all, or our own people's.
    "api_tokens busy_calendars busy_spans case_reasons deal_imports deployment_facts follow_ups holiday_places "
    "hour_exceptions meeting_kinds meeting_ticks own_weeks pipelines plan_entries plan_templates rate_counts "
    "referral_programmes retired_surveys staff staff_identities stage_tallies stages survey_rounds survey_sketches "
    "survey_triggers surveys threads tutorial_texts tutorial_versions tutorials weekly_hours "
    # Scores, dates, decisions and hashes: what is counted, and what keeps us from writing to them again.
    "anonymous_answers anonymous_tickets answer_tags answer_tallies deal_numbers journeys mail_refusals quarantines ratings_after referral_prompts "
    "referred_addresses requests stale_tallies".split()
)


# What is looked for


def _phone_patterns(phone: str) -> Iterator[str]:
    """The number as people write it, with and without its country."""
    if not phone:
        return
    try:
        national = str(phonenumbers.parse(phone).national_number)
    except phonenumbers.NumberParseException:
        national = ""
    for digits in dict.fromkeys((re.sub(r"\D", "", phone), national)):
        if len(digits) >= 8:
            yield r"\+?(?<!\d)" + r"[\s().\-]*".join(digits) + r"(?!\d)"


def _words_pattern(said: str) -> str:
    return r"\s+".join(re.escape(word) for word in said.split())


SHORT = 12
"""Shorter words of theirs are taken out only where they are all that stands there."""
BEGINNING = 60
"""Of longer words a copy that was cut off is known by so many of its first letters."""


class _Traces:
    """Takes every trace of a person out of a text or of plain JSON."""

    def __init__(self, person: Person, said: Iterable[str], *, others: Iterable[str]) -> None:
        names = [person.name] if person.name.strip() else []
        first = person.name.split()[0] if names else ""
        if len(first) >= 3 and first not in {word for name in others for word in name.split()}:
            names.append(first)
        # The whole name however it is written; the first one only as a name is, and where nobody else there has it.
        who = [
            *(rf"(?<!\w){'(?i:' if n == 0 else '(?:'}{_words_pattern(name)})(?!\w)" for n, name in enumerate(names)),
            *([rf"(?<![\w.+-])(?i:{re.escape(person.email)})(?![\w-])"] if person.email else []),
            *_phone_patterns(person.phone),
        ]
        self._who = re.compile("|".join(who) or r"(?!)")
        every = sorted({each.strip() for each in said if each and each.strip()}, key=len, reverse=True)
        self._whole = frozenset(every)
        long = [each for each in every if len(each) >= SHORT]
        cut = [_words_pattern(each[:BEGINNING]) + r"[\s\S]*" for each in long if len(each) > BEGINNING]
        self._said = re.compile("|".join([*map(_words_pattern, long), *cut]) or r"(?!)")
        self._person = person

    def out_of(self, value: Any) -> Any:
        match value:
            case str():
                if value.strip() in self._whole:
                    return self._person.words
                text = self._said.sub(lambda _found: self._person.words, value)
                return self._who.sub(lambda _found: self._person.shown, text)
            case dict():
                return {key: self.out_of(inner) for key, inner in value.items()}
            case list():
                return [self.out_of(inner) for inner in value]
            case _:
                return value


# Doing it


def erase(db: Session, house: House, *, contact_id: int, account_id: int, why: Why, by: str, now: datetime) -> None:
    """Erases a person for good; twice is once. Theirs that is to come is cancelled first, and our side is told.

    Errors: NotFound; MainContactFirst; FileWaits.
    """
    # Its journeys too before anything of theirs: a worker that turns a letter into a call holds the letter's journey first.
    journeys.hold_all(db, account_id)
    found = db.get(Contact, contact_id, populate_existing=True)
    if found is None or found.account_id != account_id:
        raise NotFound
    if found.erased_at is not None:
        return
    refuse_what_cannot_be(db, found)
    person = Person(
        contact_id,
        account_id,
        found.name,
        found.email or "",
        found.phone,
        translate(found.language, SHOWN),
        translate(found.language, WORDS),
        now,
    )
    _call_off(db, house, person, by=by, now=now)
    _leave(db, found, by=by, now=now)
    said = list(_said(db, person))
    others = db.scalars(
        select(Contact.name)
        .where(Contact.account_id == account_id, Contact.id != contact_id)
        .union_all(select(Staff.name), select(Account.name).where(Account.id == account_id))
    ).all()
    traces = _Traces(person, said, others=others)
    _forget_search(db, person, said)
    _keep_from_writing(db, person, now=now)
    _forget_typed_answers(db, person)
    _strip_history(db, person)
    db.flush()
    for name, steps in TREATED.items():
        for step in steps:
            _take(db, _T[name], step, person, traces)
    db.expire_all()
    people.refresh_search(db, account_id)
    _find_again(db, person)
    index.forget_words(db, words_in(" ".join([person.name, person.email, *said])))
    journeys.hear_account_change(db, house, account_id=account_id, now=now)
    audit.note(db, Event(Happened.PERSON_ERASED, by, now, account_id, None, contact_id, {"cause": why.value}))


def refuse_what_cannot_be(db: Session, person: Contact) -> None:
    """Errors: MainContactFirst while their company is a customer; FileWaits."""
    account = db.get_one(Account, person.account_id)
    if person.is_primary and account.churned_on is None:
        raise MainContactFirst
    waiting = db.execute(
        select(DealImport.file_name, ImportLine.deal, ImportLine.cells)
        .join(ImportLine, ImportLine.import_id == DealImport.id)
        .where(DealImport.finished_at.is_(None))
    )
    needles = [each.lower() for each in (person.email, person.phone, person.name) if each]
    for file, deal, cells in waiting:
        text = json.dumps([deal, cells], ensure_ascii=False).lower()
        if any(needle in text for needle in needles):
            raise FileWaits(file)


def _call_off(db: Session, house: House, person: Person, *, by: str, now: datetime) -> None:
    """Their meetings to come: the consultant's time is free again, and they hear of it."""
    table = _T["meetings"]
    ahead = (
        select(table.c.id)
        .where(table.c.contact_id == person.id, table.c.starts_at > now)
        .where(table.c.cancelled_at.is_(None), table.c.held_at.is_(None), table.c.missed_at.is_(None))
        .order_by(table.c.id)
    )
    for (meeting_id,) in rows_of(db, ahead):
        meetings.cancel(db, house, meeting_id=meeting_id, why=MEETING_LEFT, by=by, now=now)


def _leave(db: Session, person: Contact, *, by: str, now: datetime) -> None:
    """As for who leaves: no session, no link, no letter that waits, no invitation of theirs that stands open."""
    if person.disabled_at is None:
        if person.is_primary:
            person.is_primary = False
            db.flush()
        people.remove(db, contact_id=person.id, account_id=person.account_id, by=by, now=now)
    auth.end_sessions(db, contact_id=person.id)
    mail.suppress(db, contact_id=person.id, why=LETTER_LEFT, now=now)
    letters = _T["letters"]
    if person.email:
        keys = db.scalars(select(letters.c.key).where(func.lower(letters.c.to_email) == person.email.lower())).all()
        mail.forget(db, keys=keys, why=LETTER_LEFT, now=now)
    db.execute(
        update(ErasureRequest)
        .where(ErasureRequest.contact_id == person.id, ErasureRequest.settled_at.is_(None))
        .values(settled_at=now, settled_by=by)
    )


def _said(db: Session, person: Person) -> Iterator[str]:
    """Everything that they wrote, to find copies of it by."""
    for table, column, where in (
        ("answers", "comment", _of("answers")),
        ("answers", "others", _of("answers")),
        ("flags", "words", _of("flags")),
        ("quotes", "words", _of("quotes")),
        ("resolutions", "undone_words", _flag("resolutions", theirs=True)),
        ("conversations", "note", _of("conversations")),
        ("incoming_mails", "text", _came_in),
        ("incoming_mails", "subject", _came_in),
        ("meetings", "agenda", lambda person: _T["meetings"].c.booked_by == person.by),
        ("meetings", "cancelled_why", lambda person: _T["meetings"].c.cancelled_by == person.by),
        ("messages", "text", _of("messages")),
        ("messages", "original", _of("messages")),
        ("stuck_notes", "words", _of("stuck_notes")),
        ("tutorial_progress", "words", _of("tutorial_progress")),
        ("erasure_requests", "words", _of("erasure_requests")),
        ("goals", "title", _made("goals")),
        ("pending_issues", "problem", _made("pending_issues")),
        ("pending_issues", "solution", _made("pending_issues")),
        ("audit_events", "detail", lambda person: _T["audit_events"].c.by == person.by),
        ("survey_drafts", "typed", TREATED["survey_drafts"][0].where),
    ):
        for (value,) in rows_of(db, select(_T[table].c[column]).where(where(person))):
            if isinstance(value, str):
                yield value
            elif column == "detail":
                yield from (value[key] for key in _IN_WORDS if isinstance(value.get(key), str))
            else:
                yield from _typed(value)


def _typed(value: Any) -> Iterator[str]:
    """Texts in plain JSON that somebody typed; what is a key or a choice is one short word."""
    match value:
        case str():
            if re.search(r"\s", value):
                yield value
        case dict():
            for inner in value.values():
                yield from _typed(inner)
        case list():
            for inner in value:
                yield from _typed(inner)


_IN_WORDS = ("note", "words", "reason", "why", "comment", "agenda", "text", "problem", "solution")
"""What people write, in the detail of what happened."""
_IN_PERSON = (
    *_IN_WORDS,
    "name",
    "before",
    "after",
    "person",
    "email",
    "from_email",
    "subject",
    "address",
    "phone",
    "signs",
)
_KEYS = re.compile(r"[a-z0-9_:]{1,40}")


def _strip_history(db: Session, person: Person) -> None:
    """What happened to them, and by them, stays as that: who and when and what, without a word of it."""
    table = _T["audit_events"]
    theirs = or_(table.c.contact_id == person.id, table.c.by == person.by)
    for number, what, detail in rows_of(db, select(table.c.id, table.c.what, table.c.detail).where(theirs)):
        kept = {
            key: value
            for key, value in detail.items()
            if not (isinstance(value, str) and key in _IN_PERSON and not (key == "why" and _KEYS.fullmatch(value)))
        }
        if what == Happened.MAIL_SET_ASIDE:
            kept.pop("from", None)
        # Names stand where a sentence needs one.
        kept |= {
            key: person.shown for key in ("name", "before", "after") if isinstance(detail.get(key), str) and detail[key]
        }
        if kept != detail:
            db.execute(update(table).where(table.c.id == number).values(detail=kept))


def _forget_typed_answers(db: Session, person: Person) -> None:
    """Answers in their own words to further questions; what they chose stays, as the scores do."""
    answers, invitations, surveys = _T["answers"], _T["invitations"], _T["surveys"]
    rows = rows_of(
        db,
        select(answers.c.id, answers.c.others, surveys.c.questions)
        .join(invitations, invitations.c.id == answers.c.invitation_id)
        .join(surveys, surveys.c.id == invitations.c.survey_id)
        .where(answers.c.contact_id == person.id),
    )
    for number, others, questions in rows:
        in_words = {question["key"] for question in questions if question["kind"] == QuestionKind.TEXT}
        kept = {key: value for key, value in others.items() if key not in in_words}
        if kept != others:
            db.execute(update(answers).where(answers.c.id == number).values(others=kept))


def _forget_search(db: Session, person: Person, said: list[str]) -> None:
    """What can be found of theirs and for them; its words are noted, for their spellings."""
    theirs = db.scalars(select(Message.id).where(Message.contact_id == person.id)).all()
    index.remove(db, Kind.MESSAGE, [str(number) for number in theirs])
    own = db.execute(
        select(SearchDocument.kind, SearchDocument.ref, SearchDocument.title, SearchDocument.text).where(
            SearchDocument.audience == of_contact(person.id)
        )
    ).all()
    for kind, ref, title, text in own:
        said += [title, text]
        index.remove(db, Kind(kind), [ref])


def _find_again(db: Session, person: Person) -> None:
    """Colleagues' and our messages that named them are found by what is left of them."""
    rest = select(Message.id).where(
        Message.account_id == person.account_id, or_(Message.contact_id.is_(None), Message.contact_id != person.id)
    )
    for number in db.scalars(rest.order_by(Message.id)).all():
        findable.keep_findable(db, number)


def _keep_from_writing(db: Session, person: Person, *, now: datetime) -> None:
    """Only as a hash: should a later import or a colleague bring the address back, nothing but service mail goes there
    before its owner allows it again."""
    if person.email:
        for purpose in Purpose:
            if purpose is not Purpose.SERVICE:
                people.refuse(db, person.email, purpose, now=now)
    table = _T["referral_invitations"]
    accepted = _T["referrals"]
    unanswered = (
        update(table)
        .where(table.c.contact_id == person.id, table.c.forgotten_at.is_(None))
        .where(~select(accepted.c.id).where(accepted.c.invitation_id == table.c.id).exists())
        .values(friend_name="", address_hash="", forgotten_at=now)
    )
    db.execute(unanswered)


def _take(db: Session, table: Table, step: Step, person: Person, traces: _Traces) -> None:
    match step:
        case Goes(where):
            db.execute(delete(table).where(where(person)))
        case Blanks(where, values):
            if "nonce" in (given := values(person)):
                # Each row its own: links are told apart by them.
                for (number,) in rows_of(db, select(table.c.id).where(where(person))):
                    db.execute(update(table).where(table.c.id == number).values(**values(person)))
            else:
                db.execute(update(table).where(where(person)).values(**given))
        case Cuts(where, columns):
            _cut_out(db, table, where(person), columns, traces)


def _cut_out(db: Session, table: Table, where: ColumnElement[bool], columns: Sequence[str], traces: _Traces) -> None:
    keys = list(table.primary_key.columns)
    for row in rows_of(db, select(*keys, *(table.c[name] for name in columns)).where(where)):
        key, before = tuple(row[: len(keys)]), dict(zip(columns, row[len(keys) :], strict=True))
        after = {name: _fitting(table, name, traces.out_of(value)) for name, value in before.items()}
        if after != before:
            db.execute(update(table).where(tuple_(*keys) == tuple_(*key)).values(**after))


def _fitting(table: Table, name: str, value: Any) -> Any:
    length = cast("int | None", getattr(table.c[name].type, "length", None))
    return value[:length] if isinstance(value, str) and length else value
