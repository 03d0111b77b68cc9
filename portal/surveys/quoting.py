"""Tags that colleagues put on comments, and words to quote: asking the person, and what they say to it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import String, and_, case, cast, delete, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from portal import audit, links, mail
from portal.accounts import asking_ledger as ledger
from portal.accounts.asking import WHY_IT_WAITS, Asked, Became, Instead, Send, Wait, Why, judge
from portal.accounts.asking_ledger import Addressee, known_of, people_of
from portal.accounts.models import Account, Contact
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import cases, conduct
from portal.journeys.models import JourneyRow
from portal.journeys.rules import Status
from portal.mail import Kind, Letter, LetterRow, Withheld
from portal.search.rules import fold, words_in
from portal.surveys.leaving import AT_ONCE, LEFT, SETTLED, known_anew
from portal.surveys.models import AnswerRow, AnswerTag, Quote
from portal.surveys.narrowing import COUNTED
from portal.surveys.rules import ASK_AGAIN_DAYS, ShownAs, byline

QUOTE = "quote"
"""The purpose that the links of these requests are sealed for."""
MOST_TAGS = 12
"""Tags on one comment."""
CONSENT = N_(
    "I agree that %(vendor)s shows these words of mine to other people, on its website and in its material, in the way "
    "chosen here. I can take them back at any time with this link."
)


def _comment(db: Session, answer_id: int) -> AnswerRow:
    """A comment that counts, held. Errors: NotFound."""
    found = db.scalar(
        select(AnswerRow).where(AnswerRow.id == answer_id, COUNTED, AnswerRow.comment != "").with_for_update()
    )
    if found is None:
        raise NotFound
    return found


def _event(what: Happened, about: AnswerRow | Quote, by: str, now: datetime, **detail: Any) -> Event:
    journey_id = about.journey_id if isinstance(about, AnswerRow) else None
    return Event(what, by, now, about.account_id, journey_id, about.contact_id, detail)


# Tags


def tag_comment(db: Session, *, answer_id: int, tag: str, by: str, now: datetime) -> None:
    """Puts a tag on a comment; one that is there already, in whatever spelling, stays. Errors: NotFound; Refused."""
    answer = _comment(db, answer_id)
    folded = fold(tag).strip()[:80]
    if not words_in(tag):
        raise Refused(N_("A tag needs a letter or a digit."))
    known = db.scalars(select(AnswerTag.folded).where(AnswerTag.answer_id == answer_id)).all()
    if folded in known:
        return
    if len(known) >= MOST_TAGS:
        raise Refused(N_("That comment has %(most)s tags already: take one off first."), most=MOST_TAGS)
    # Spelt as it is on other comments: one tag, one spelling.
    spelt = db.scalar(select(AnswerTag.tag).where(AnswerTag.folded == folded).limit(1)) or tag
    values = {"answer_id": answer_id, "folded": folded, "tag": spelt, "at": now, "by": by}
    db.execute(insert_for(db, AnswerTag.__table__).on_conflict_do_nothing(), [values])
    audit.note(db, _event(Happened.COMMENT_TAGGED, answer, by, now, answer=answer_id, tag=spelt))


def untag_comment(db: Session, *, answer_id: int, tag: str, by: str, now: datetime) -> None:
    """Takes a tag off; where there is none, nothing happens. Errors: NotFound."""
    answer = _comment(db, answer_id)
    here = (AnswerTag.answer_id == answer_id) & (AnswerTag.folded == fold(tag).strip()[:80])
    known = db.scalar(select(AnswerTag.tag).where(here))
    if known is None:
        return
    db.execute(delete(AnswerTag).where(here))
    audit.note(db, _event(Happened.COMMENT_UNTAGGED, answer, by, now, answer=answer_id, tag=known))


# Asking for words to quote


def ask_for_words(db: Session, house: House, *, answer_id: int, words: str, by: str, now: datetime) -> datetime:
    """Mails the person and asks whether we may show these words of theirs to others; gives when the mail goes out: now, or
    in their next hours. It draws on their contact budget.

    Errors: NotFound; Refused, with the reason and from when on it is possible, where the words aren't theirs, they were
    asked before or lately, can't or don't want to be asked, or something is wrong at their company.
    """
    answer = _comment(db, answer_id)
    if not words or words not in answer.comment or len(words) > 1000:
        raise Refused(N_("Only words that they wrote themselves, at most 1000 characters, can be quoted."))
    unsent = _unsent(db, answer.contact_id)
    asked = Quote.id.not_in([one.quote.id for one in unsent])
    if db.scalar(select(Quote.id).where(Quote.answer_id == answer_id, asked)) is not None:
        raise Refused(N_("They were asked about this one already."))
    if _has_open_case(db, answer.journey_id):
        raise Refused(WHY_NOT[Why.OPEN_FLAG])
    person = people_of(db, [answer.contact_id]).get(answer.contact_id)
    if person is None or not person.email:
        raise Refused(WHY_NOT[Why.NO_ADDRESS])
    lately = now - timedelta(days=ASK_AGAIN_DAYS)
    last = db.scalar(
        select(func.max(Quote.asked_at)).where(Quote.contact_id == person.id, Quote.asked_at > lately, asked)
    )
    if last is not None:
        raise Refused(
            N_("They were asked for a quote less than %(days)s days ago. You can ask again from %(when)s on."),
            days=ASK_AGAIN_DAYS,
            when=last + timedelta(days=ASK_AGAIN_DAYS),
        )
    for one in unsent:  # what could not be delivered was in the ledger, and asked for nothing
        ledger.take_back(db, _request(one.quote, one.journey_id, None, now))
    goes_at, why = _judged(db, house, person, now=now)
    _forget(db, unsent, now=now)
    quote = Quote(
        answer_id=answer_id,
        account_id=answer.account_id,
        contact_id=person.id,
        words=words,
        nonce=links.new_nonce(),
        asked_at=now,
        asked_by=by,
    )
    db.add(quote)
    db.flush()
    letter = Letter(
        key=_key(quote.id),
        kind=Kind.QUOTE_REQUEST,
        to_email=person.email,
        language=person.language,
        due_at=goes_at,
        account_id=answer.account_id,
        journey_id=answer.journey_id,
        contact_id=person.id,
        context={"quote_id": quote.id, "words": words},
    )
    mail.queue(db, letter, now=now)
    ledger.keep(db, [_request(quote, answer.journey_id, why, goes_at)], waiting=(), now=now)
    audit.note(db, _event(Happened.QUOTE_ASKED, answer, by, now, answer=answer_id, quote=quote.id))
    return goes_at


def _judged(db: Session, house: House, person: Addressee, *, now: datetime) -> tuple[datetime, Why | None]:
    """When it may go out, and why not now. Their hours are waited for; a budget that is used up isn't, since who asks may
    rather want to call. Errors: Refused."""
    purposes = tuple(sorted(mail.MANNERS[Kind.QUOTE_REQUEST].purposes))
    flagged = cases.unhappy(db, [person.id])
    known = known_of(db, [person], purposes=purposes, flagged=flagged, now=now)
    match judge(Asked.QUOTE, known.people[person.id], now, house.holidays):
        case Send():
            return now, None
        case Wait(until=until, why=Why.BUDGET):
            raise Refused(
                N_("They were asked for something else not long before. You can ask from %(when)s on."), when=until
            )
        case Wait(until=until, why=why):
            return until, why
        case Instead(why=why):
            raise Refused(WHY_NOT.get(why, WHY_NOT[Why.NO_HOUR]))


WHY_NOT: dict[Why, str] = {
    Why.OPEN_FLAG: N_("They told us that something is wrong: settle that first."),
    Why.NO_ADDRESS: N_("There is no address to ask at. Call them instead."),
    Why.REFUSED: N_("They asked not to get such mails. Call them instead."),
    Why.PREFERS_PHONE: N_("They like the phone best: ask them there."),
    Why.PREFERS_WHATSAPP: N_("They like WhatsApp best: ask them there."),
    Why.PREFERS_PORTAL: N_("They want no mail about such things: ask when you talk to them."),
    Why.FEWER_REQUESTS: N_("They only want to be asked what is necessary: ask when you talk to them."),
    Why.NO_HOUR: N_("None of their hours is on a working day. Call them instead."),
}
"""Why somebody can't be asked by mail, as a sentence."""


def _has_open_case(db: Session, journey_id: int | None) -> bool:
    return bool(db.scalar(select(JourneyRow.open_flags).where(JourneyRow.id == journey_id)))


def _key(quote_id: int) -> str:
    return f"quote_request:{quote_id}"


def _request(quote: Quote, journey_id: int | None, why: Why | None, at: datetime) -> ledger.Request:
    who = (quote.account_id, quote.contact_id, journey_id, 0)
    return ledger.Request(Asked.QUOTE, *who, Became.MAIL, why, at, about=quote.id)


class _Unsent(NamedTuple):
    """A request whose mail came to nobody."""

    quote: Quote
    journey_id: int | None
    letter_id: int


def _unsent(db: Session, contact_id: int) -> list[_Unsent]:
    """Requests whose mail never left, or could not be delivered: they asked for nothing, and stand in no other's way."""
    rows = db.execute(
        select(Quote, LetterRow.journey_id, LetterRow.id)
        .join(LetterRow, _ITS_LETTER)
        .where(Quote.contact_id == contact_id, Quote.consented_at.is_(None), Quote.declined_at.is_(None))
        .where(or_(_WITHHELD, _UNDELIVERED))
        .order_by(Quote.id)
    )
    return [_Unsent(*row) for row in rows]


def _forget(db: Session, unsent: Sequence[_Unsent], *, now: datetime) -> None:
    for one in unsent:
        # SQLite may give the number away again, and a key happens once for ever. Nor may a letter that failed be tried
        # again: it would ask for somebody else's words.
        gone = {
            "key": LetterRow.key + literal(f":unsent:{one.letter_id}"),
            "failed_at": None,
            "suppressed_at": func.coalesce(LetterRow.suppressed_at, now),
            "why": case((LetterRow.why == "", ASKED_ANEW), else_=LetterRow.why),
        }
        db.execute(update(LetterRow).where(LetterRow.id == one.letter_id).values(**gone))
        db.execute(delete(Quote).where(Quote.id == one.quote.id))


ASKED_ANEW = N_("They were asked anew.")
_ITS_LETTER = LetterRow.key == literal("quote_request:") + cast(Quote.id, String)
# Where an earlier try may have brought it, they may well say yes or no by its link.
_WITHHELD = and_(LetterRow.suppressed_at.is_not(None), LetterRow.unsure_at.is_(None))
_UNDELIVERED = and_(LetterRow.failed_at.is_not(None), LetterRow.unsure_at.is_(None))


# The mail, as it leaves


def compose_request(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The page where they say yes or no. Errors: Withheld where it is settled, or something stands against it by now."""
    quote = db.get(Quote, row.context["quote_id"])
    if quote is None or quote.consented_at is not None or quote.declined_at is not None:
        raise Withheld(SETTLED)
    if row.sent_at is None and (against := _against(db, house, row, quote)) is not None:
        raise Withheld(against if isinstance(against, str) else WHY_IT_WAITS[against.why])
    return {"quote_url": house.url(quote_path(house, quote))}


def _against(db: Session, house: House, row: LetterRow, quote: Quote) -> Wait | str | None:
    """What stands against a request that would leave now: a while, or a reason (msgid); None: nothing."""
    if db.scalar(select(JourneyRow.status).where(JourneyRow.id == row.journey_id)) is Status.LOST:
        return LEFT
    if _has_open_case(db, row.journey_id):
        return WHY_NOT[Why.OPEN_FLAG]
    now = house.clock.now()
    person = known_anew(db, row, _request(quote, row.journey_id, None, now), now=now)
    if person is None:
        return SETTLED
    match judge(Asked.QUOTE, person, now, house.holidays):
        case Send():
            return None
        case Wait() as wait:
            return wait
        case Instead(why=why):
            return WHY_NOT.get(why, WHY_NOT[Why.NO_HOUR])


def turn_request(db: Session, house: House, row: LetterRow, why: str, now: datetime) -> None:
    """What becomes of a request that was withheld: put off to their hours; else it asked for nothing, draws on no budget,
    and the page of quotes says why."""
    if row.journey_id is not None:
        conduct.lock(db, row.journey_id)
    quote = db.get(Quote, row.context["quote_id"], with_for_update=True)
    if quote is None or quote.consented_at is not None or quote.declined_at is not None:
        mail.withhold(db, row, why=SETTLED, now=now)
        return
    match _against(db, house, row, quote):
        case None:
            mail.put_off(db, row, until=now + AT_ONCE)
        case Wait() as wait:
            if mail.put_off(db, row, until=wait.until):
                ledger.turn(db, _request(quote, row.journey_id, wait.why, wait.until), now=now)
        case reason:
            if mail.withhold(db, row, why=reason, now=now):
                ledger.take_back(db, _request(quote, row.journey_id, None, now))


COMPOSERS: dict[Kind, mail.Composer] = {Kind.QUOTE_REQUEST: compose_request}
TURNS: dict[Kind, mail.Turn] = {Kind.QUOTE_REQUEST: turn_request}


# What the person says


class Lent(NamedTuple):
    """A request as its person sees it."""

    quote: Quote
    name: str
    company: str
    language: str
    timezone: str

    def byline(self, shown_as: ShownAs) -> str:
        return byline(shown_as, name=self.name, company=self.company)


def quote_path(house: House, quote: Quote) -> str:
    """Where the request's link leads; the same link takes the words back later."""
    return f"/quotes/{links.seal(house.secret, QUOTE, quote.id, quote.nonce)}"


def sealed_quote(db: Session, house: House, token: str) -> Lent | None:
    """The request of a link; None if the token is none of ours. Looking decides nothing."""
    found = db.execute(
        select(Quote, Contact.name, Account.name, Contact.language, Contact.timezone)
        .join(Contact, Contact.id == Quote.contact_id)
        .join(Account, Account.id == Quote.account_id)
        .where(Quote.id == (links.row_of(token) or 0))
    ).first()
    if found is None or not links.is_sealed(token, house.secret, QUOTE, found[0].nonce):
        return None
    return Lent(*found)


def allow(db: Session, *, quote_id: int, shown_as: ShownAs, consent: str, now: datetime) -> None:
    """The person agrees, under the name they chose. Said again it changes the name; after a withdrawal it counts anew.

    `consent`: the sentence they read.
    """
    quote = _held(db, quote_id)
    if quote.may_be_shown and quote.shown_as is shown_as:
        return
    quote.consented_at, quote.consent, quote.shown_as = now, consent, shown_as
    quote.declined_at = quote.withdrawn_at = None
    db.flush()
    by = f"contact:{quote.contact_id}"
    audit.note(db, _event(Happened.QUOTE_ALLOWED, quote, by, now, quote=quote_id, shown_as=shown_as))


def decline(db: Session, *, quote_id: int, now: datetime) -> None:
    """No, or not any more: what was allowed before is withdrawn, and nothing of it may be shown from now on."""
    quote = _held(db, quote_id)
    by = f"contact:{quote.contact_id}"
    if quote.may_be_shown:
        quote.withdrawn_at, what = now, Happened.QUOTE_WITHDRAWN
    elif quote.declined_at is None and quote.withdrawn_at is None:
        quote.declined_at, what = now, Happened.QUOTE_DECLINED
    else:
        return
    db.flush()
    audit.note(db, _event(what, quote, by, now, quote=quote_id))


def _held(db: Session, quote_id: int) -> Quote:
    return db.scalars(select(Quote).where(Quote.id == quote_id).with_for_update()).one()


# All of them


class Listed(NamedTuple):
    quote: Quote
    name: str
    company: str
    not_sent: str | None
    """Why the mail that asks didn't go out (msgid); None: it did, or will."""
    is_undelivered: bool
    """Whether it went out, and their mail server didn't take it."""

    @property
    def can_be_asked_again(self) -> bool:
        """Whether nothing was asked after all: the words can be asked for anew."""
        return bool(self.not_sent or self.is_undelivered) and not (
            self.quote.consented_at or self.quote.declined_at or self.quote.withdrawn_at
        )

    @property
    def byline(self) -> str:
        return byline(self.quote.shown_as, name=self.name, company=self.company) if self.quote.shown_as else ""


MOST_LISTED = 200
_NOT_SENT = select(LetterRow.why).where(_ITS_LETTER, _WITHHELD).correlate(Quote)
_CAME_BACK = exists().where(_ITS_LETTER, _UNDELIVERED).correlate(Quote)


def quotes(db: Session) -> list[Listed]:
    """Everything that was asked for, the latest first; at most `MOST_LISTED`."""
    rows = db.execute(
        select(Quote, Contact.name, Account.name, _NOT_SENT.scalar_subquery(), _CAME_BACK)
        .join(Contact, Contact.id == Quote.contact_id)
        .join(Account, Account.id == Quote.account_id)
        .order_by(Quote.id.desc())
        .limit(MOST_LISTED)
    )
    return [Listed(*row) for row in rows]
