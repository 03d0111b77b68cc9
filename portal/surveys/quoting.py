"""Tags that colleagues put on comments, and words to quote: asking the person, and what they say to it."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from portal import audit, links, mail
from portal.accounts.models import Account, Contact
from portal.audit import Event, Happened
from portal.db import insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys.models import JourneyRow
from portal.mail import Kind, Letter, LetterRow, Withheld
from portal.search.rules import fold, words_in
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


def ask_for_words(db: Session, *, answer_id: int, words: str, by: str, now: datetime) -> None:
    """Mails the person and asks whether we may show these words of theirs to others.

    Errors: NotFound; Refused where the words aren't theirs, they were asked before or lately, can't or don't want to be
    asked, or something is wrong at their company.
    """
    answer = _comment(db, answer_id)
    if not words or words not in answer.comment or len(words) > 1000:
        raise Refused(N_("Only words that they wrote themselves, at most 1000 characters, can be quoted."))
    if db.scalar(select(Quote.id).where(Quote.answer_id == answer_id)) is not None:
        raise Refused(N_("They were asked about this one already."))
    if db.scalar(select(JourneyRow.open_flags).where(JourneyRow.id == answer.journey_id)):
        raise Refused(N_("They told us that something is wrong: settle that first."))
    person = db.get_one(Contact, answer.contact_id)
    if not person.email or person.disabled_at is not None:
        raise Refused(N_("There is no address to ask at. Call them instead."))
    for purpose in mail.MANNERS[Kind.QUOTE_REQUEST].purposes:
        if mail.refusing(db, [person.email], purpose):
            raise Refused(N_("They asked not to get such mails. Call them instead."))
    lately = now - timedelta(days=ASK_AGAIN_DAYS)
    if db.scalar(select(Quote.id).where(Quote.contact_id == person.id, Quote.asked_at > lately).limit(1)) is not None:
        raise Refused(N_("They were asked for a quote less than %(days)s days ago."), days=ASK_AGAIN_DAYS)
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
        key=f"quote_request:{quote.id}",
        kind=Kind.QUOTE_REQUEST,
        to_email=person.email,
        language=person.language,
        account_id=answer.account_id,
        journey_id=answer.journey_id,
        contact_id=person.id,
        context={"quote_id": quote.id, "words": words},
    )
    mail.queue(db, letter, now=now)
    audit.note(db, _event(Happened.QUOTE_ASKED, answer, by, now, answer=answer_id, quote=quote.id))


def compose_request(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    """The page where they say yes or no. Errors: Withheld where it is settled, or something went wrong meanwhile."""
    quote = db.get(Quote, row.context["quote_id"])
    if quote is None or quote.consented_at is not None or quote.declined_at is not None:
        raise Withheld(N_("It was settled before the mail went out."))
    if row.journey_id and db.scalar(select(JourneyRow.open_flags).where(JourneyRow.id == row.journey_id)):
        raise Withheld(N_("They told us that something is wrong: settle that first."))
    return {"quote_url": house.url(quote_path(house, quote))}


COMPOSERS: dict[Kind, mail.Composer] = {Kind.QUOTE_REQUEST: compose_request}


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

    @property
    def byline(self) -> str:
        return byline(self.quote.shown_as, name=self.name, company=self.company) if self.quote.shown_as else ""


MOST_LISTED = 200


def quotes(db: Session) -> list[Listed]:
    """Everything that was asked for, the latest first; at most `MOST_LISTED`."""
    rows = db.execute(
        select(Quote, Contact.name, Account.name)
        .join(Contact, Contact.id == Quote.contact_id)
        .join(Account, Account.id == Quote.account_id)
        .order_by(Quote.id.desc())
        .limit(MOST_LISTED)
    )
    return [Listed(*row) for row in rows]
