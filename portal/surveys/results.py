"""What stands behind the figures of one survey, narrowed to whom one asks about: who is silent, comments, rows to take away.
Only verified answers, the latest version of each. The counts are `tallies`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, case, func, literal_column, or_, select
from sqlalchemy.orm import Session, aliased

from portal.accounts.models import Account, Contact, Staff
from portal.db import rows_of
from portal.journeys.models import JourneyRow, StageRow
from portal.search.rules import fold
from portal.surveys import tallies
from portal.surveys.models import AnswerRow, AnswerTag, Invitation, Quote, Survey
from portal.surveys.narrowing import COUNTED, Narrow, Shape, named, only, only_whom
from portal.surveys.rules import Provenance, SurveyForm
from portal.surveys.stored import survey_form

# As the index says it: with a value beside the statement SQLite does not know that the index fits.
_HAS_COMMENT = and_(COUNTED, AnswerRow.comment != literal_column("''"))
MOST_SILENT = 50
PAGE = 25
FIRST_SEARCHED = 1000
"""Comments that a search reads first: what many write about fills a page with these."""
MOST_SEARCHED = 20_000
"""Comments that one search reads, newest first: accents are folded here, since neither database does it alike."""


# Which surveys there are


class Listed(NamedTuple):
    """A survey: its newest version, and the numbers of all of them."""

    form: SurveyForm
    ids: tuple[int, ...]
    forms: tuple[SurveyForm, ...] = ()
    """All versions, the newest first."""


def surveys(db: Session) -> list[Listed]:
    """Every survey that was ever asked, the oldest key first."""
    versions: dict[str, list[Survey]] = {}
    for row in db.scalars(select(Survey).order_by(Survey.key, Survey.version)):
        versions.setdefault(row.key, []).append(row)
    found = []
    for rows in versions.values():
        forms = tuple(survey_form(row) for row in reversed(rows))
        found.append(Listed(forms[0], tuple(row.id for row in rows), forms))
    return found


def plans(db: Session) -> Sequence[str]:
    """The plans that were sold, by name."""
    return [name for (name,) in rows_of(db, _PLANS)]


# From each name to the next one in the index: neither database skips by itself what a hundred thousand accounts repeat.
_NEXT = aliased(Account)
_FIRST_PLAN = select(func.min(Account.plan).label("name")).where(Account.plan > "").cte("names", recursive=True)
_NAMES = _FIRST_PLAN.union_all(
    select(select(func.min(_NEXT.plan)).where(_NEXT.plan > _FIRST_PLAN.c.name).scalar_subquery()).where(
        _FIRST_PLAN.c.name.is_not(None)
    )
)
_PLANS = select(_NAMES.c.name).where(_NAMES.c.name.is_not(None)).order_by(_NAMES.c.name).limit(50)


def stages(db: Session, locale: str) -> list[tuple[str, str]]:
    """Key and name of every stage, in their order."""
    name = StageRow.name_pt if locale == "pt-BR" else StageRow.name_en
    found: dict[str, str] = {}
    for key, title in db.execute(select(StageRow.key, name).order_by(StageRow.pipeline_id, StageRow.position)):
        found.setdefault(key, title)
    return list(found.items())


# Who is silent


class Silent(NamedTuple):
    """Somebody whom the survey reached and who has said nothing."""

    account_id: int
    account_name: str
    contact_name: str
    sent_at: datetime
    is_open: bool
    """Whether they can still answer."""
    owner_name: str


def silent(db: Session, narrow: Narrow, since: datetime, until: datetime, *, now: datetime) -> list[Silent]:
    """Those who were asked in the period and have not answered; whose survey closes next comes first, then the latest."""
    if not narrow.survey_ids:
        return []
    parts, are_all = tallies.quiet_parts(db, narrow, since, until, most=MOST_SILENT)
    found = _silent_in(db, narrow, parts, now)
    if len(found) < MOST_SILENT and not are_all:  # some have answered since the days were counted
        parts, _ = tallies.quiet_parts(db, narrow, since, until, most=2**31)
        found = _silent_in(db, narrow, parts, now)
    people = [Silent._make(row)._replace(is_open=bool(row[4])) for row in found]
    return sorted(people, key=lambda one: not one.is_open)


def _silent_in(db: Session, narrow: Narrow, parts: Sequence[tallies.Part], now: datetime) -> Sequence[Any]:
    return tallies.rows_within(db, _silent, narrow, parts, now=now)


@lru_cache(maxsize=200)
def _silent(dialect: str, shape: Shape, parts: int, _edges: int) -> Any:
    at = Invitation.sent_at
    source, inside, _part = tallies.within(dialect, Invitation, at, parts)
    answered = select(AnswerRow.id).where(AnswerRow.invitation_id == Invitation.id, COUNTED).exists()
    is_open = case((Invitation.expires_at > bindparam("now"), 1), else_=0)
    # Chosen first and named afterwards: else the names of all are looked up to show fifty.
    chosen = (
        select(Invitation.id)
        .select_from(source)
        .where(inside, ~answered, *only(named(shape), Invitation, at))
        .order_by(at.desc(), Invitation.id.desc())
        .limit(MOST_SILENT)
        .subquery()
    )
    return (
        select(
            Invitation.account_id,
            Account.name,
            Contact.name,
            Invitation.sent_at,
            is_open,
            func.coalesce(Staff.name, ""),
        )
        .join(Account, Account.id == Invitation.account_id)
        .join(Contact, Contact.id == Invitation.contact_id)
        .join(JourneyRow, JourneyRow.id == Invitation.journey_id)
        .outerjoin(Staff, Staff.id == JourneyRow.owner_id)
        .join(chosen, chosen.c.id == Invitation.id)
        .order_by(Invitation.sent_at.desc(), Invitation.id.desc())
    )


# Comments


class Comment(NamedTuple):
    """What somebody wrote, with who and what else they said."""

    id: int
    words: str
    nps: int | None
    csat: int | None
    submitted_at: datetime
    account_id: int
    account_name: str
    contact_name: str
    language: str
    tags: tuple[str, ...] = ()
    quote: Quote | None = None


class Asked(NamedTuple):
    """Which comments: of a period, with words or a tag in them, those before one (for the next page)."""

    since: datetime
    until: datetime
    words: str = ""
    tag: str = ""
    before: int | None = None
    ids: tuple[int, ...] | None = None
    """Only these, where a theme was chosen."""
    with_words: bool = True
    """Only answers with a comment; a file may hold all of them."""


class Page(NamedTuple):
    comments: list[Comment]
    older: int | None
    """Where the next page begins; None: there is none."""
    is_cut: bool = False
    """Whether there were more comments than one search reads."""


def comments(db: Session, narrow: Narrow, asked: Asked) -> Page:
    """The comments asked for, newest first. At most four statements."""
    if not narrow.survey_ids:
        return Page([], None)
    ids, is_cut = _found(db, narrow, asked)
    shown = ids[:PAGE]
    return Page(_whole(db, shown), shown[-1] if len(ids) > PAGE else None, is_cut)


def _found(db: Session, narrow: Narrow, asked: Asked) -> tuple[list[int], bool]:
    """The numbers of a page and one more."""
    words = fold(asked.words).split()
    if not words:
        wanted = _comments(db, narrow, asked, AnswerRow.id).limit(PAGE + 1)
        return [row[0] for row in rows_of(db, wanted)], False
    found: list[int] = []
    before = asked
    for most in (FIRST_SEARCHED, MOST_SEARCHED - FIRST_SEARCHED):
        rows = rows_of(db, _comments(db, narrow, before, AnswerRow.id, AnswerRow.comment).limit(most))
        for number, text in rows:
            folded = fold(text)
            if all(word in folded for word in words):
                found.append(number)
                if len(found) > PAGE:
                    return found, False
        if len(rows) < most:
            return found, False
        before = asked._replace(before=rows[-1][0])
    return found, True


def _comments(db: Session, narrow: Narrow, asked: Asked, *columns: Any) -> Any:
    at = AnswerRow.submitted_at
    query = (
        select(*columns)
        .join(Invitation, Invitation.id == AnswerRow.invitation_id)
        .where(_HAS_COMMENT, *_of_period(asked), *_of_survey(db, narrow, at))
        .order_by(AnswerRow.id.desc())
    )
    if asked.before is not None:
        query = query.where(AnswerRow.id < asked.before)
    return query.where(*_chosen(asked))


def _of_period(asked: Asked) -> list[Any]:
    # The same moment, but none that an index is about: the order of comments is that of their numbers.
    at = func.coalesce(AnswerRow.submitted_at, AnswerRow.submitted_at)
    return [at >= asked.since, at < asked.until]


def _of_survey(db: Session, narrow: Narrow, at: Any) -> list[Any]:
    return [tallies.of_survey(db.get_bind().dialect.name, narrow), *only_whom(narrow, AnswerRow, at)]


def _chosen(asked: Asked) -> list[Any]:
    wanted: list[Any] = [] if asked.ids is None else [AnswerRow.id.in_(asked.ids)]
    if asked.tag:
        tagged = select(AnswerTag.answer_id).where(AnswerTag.folded == fold(asked.tag).strip())
        wanted.append(AnswerRow.id.in_(tagged))
    return wanted


def _whole(db: Session, ids: Sequence[int]) -> list[Comment]:
    if not ids:
        return []
    tags: dict[int, list[str]] = {}
    for number, tag in db.execute(
        select(AnswerTag.answer_id, AnswerTag.tag).where(AnswerTag.answer_id.in_(ids)).order_by(AnswerTag.folded)
    ):
        tags.setdefault(number, []).append(tag)
    quotes = {quote.answer_id: quote for quote in db.scalars(select(Quote).where(Quote.answer_id.in_(ids)))}
    rows = db.execute(
        select(
            AnswerRow.id, AnswerRow.comment, AnswerRow.nps, AnswerRow.csat, AnswerRow.submitted_at,
            AnswerRow.account_id, Account.name, Contact.name, Contact.language,
        )
        .join(Account, Account.id == AnswerRow.account_id)
        .join(Contact, Contact.id == AnswerRow.contact_id)
        .where(AnswerRow.id.in_(ids))
        .order_by(AnswerRow.id.desc())
    )  # fmt: skip
    return [Comment(*row, tags=tuple(tags.get(row[0], ())), quote=quotes.get(row[0])) for row in rows]


def comment(db: Session, answer_id: int) -> Comment | None:
    """One comment that counts, or None."""
    is_one = db.scalar(select(AnswerRow.id).where(AnswerRow.id == answer_id, _HAS_COMMENT))
    return next(iter(_whole(db, [answer_id])), None) if is_one else None


def tags_in_use(db: Session, narrow: Narrow, asked: Asked) -> list[tuple[str, int]]:
    """The tags on the comments of the period, with how many have each; the most used first."""
    if not narrow.survey_ids:
        return []
    # Looked up for each tag: there are fewer of those than comments.
    at = AnswerRow.submitted_at
    wanted = select(AnswerRow.id).join(Invitation, Invitation.id == AnswerRow.invitation_id)
    wanted = wanted.where(
        AnswerRow.id == AnswerTag.answer_id, _HAS_COMMENT, *_of_period(asked), *_of_survey(db, narrow, at)
    )
    query = (
        select(func.min(AnswerTag.tag), func.count())
        .where(wanted.correlate(AnswerTag).exists())
        .group_by(AnswerTag.folded)
        .order_by(func.count().desc(), AnswerTag.folded)
        .limit(40)
    )
    return [(tag, n) for tag, n in rows_of(db, query)]


def _all_of(asked: Asked) -> Asked:
    """Every comment of the period."""
    return Asked(asked.since, asked.until)


class Said(NamedTuple):
    """A comment as themes need it."""

    id: int
    words: str
    language: str
    nps: int | None
    csat: int | None


def said(db: Session, narrow: Narrow, asked: Asked, *, most: int) -> list[Said]:
    """The newest comments of the period, whatever page one is on."""
    if not narrow.survey_ids:
        return []
    columns = (AnswerRow.id, AnswerRow.comment, Contact.language, AnswerRow.nps, AnswerRow.csat)
    query = _comments(db, narrow, _all_of(asked), *columns)
    return [Said(*row) for row in rows_of(db, query.join(Contact, Contact.id == AnswerRow.contact_id).limit(most))]


# To take away


class Taken(NamedTuple):
    """One answer as a line of a file."""

    id: int
    submitted_at: datetime
    account: str
    plan: str
    contact: str
    email: str | None
    language: str
    consultant: str
    provenance: Provenance
    csat: int | None
    nps: int | None
    wants_help: bool | None
    comment: str
    others: Mapping[str, Any]
    tags: str


Reading = Callable[[], AbstractContextManager[Session]]
AT_A_TIME = 2000
"""Lines of a file that are read at once: no more of them are in memory, however many there are."""


def answers_to_take(read: Reading, narrow: Narrow, asked: Asked, *, most: int) -> Iterator[Taken]:
    """The answers of the period, newest first, at most so many. Two statements for each `AT_A_TIME`, each time in a session
    of its own, so that no connection waits for who takes them away."""
    words, given = fold(asked.words).split(), 0
    before: Taken | None = None
    while given < most:
        with read() as db:
            some = _some_to_take(db, narrow, asked, before=before)
        for one in some:
            folded = fold(one.comment) if words else ""
            if all(word in folded for word in words) and given < most:
                given += 1
                yield one
        if len(some) < AT_A_TIME:
            return
        before = some[-1]


def count_to_take(read: Reading, narrow: Narrow, asked: Asked, *, most: int) -> int:
    """How many those are."""
    if not narrow.survey_ids:
        return 0
    if asked.words:
        return sum(1 for _ in answers_to_take(read, narrow, asked, most=most))
    with read() as db:
        counted = _to_take(narrow, asked, AnswerRow.id).limit(most).subquery()
        return db.scalar(select(func.count()).select_from(counted)) or 0


def _to_take(narrow: Narrow, asked: Asked, *columns: Any) -> Select[*tuple[Any, ...]]:
    at = AnswerRow.submitted_at
    query = select(*columns).join(Invitation, Invitation.id == AnswerRow.invitation_id)
    query = query.where(COUNTED, at >= asked.since, at < asked.until, *only(narrow, AnswerRow, at), *_chosen(asked))
    return query.where(AnswerRow.comment != "") if asked.with_words else query


def _some_to_take(db: Session, narrow: Narrow, asked: Asked, *, before: Taken | None) -> list[Taken]:
    if not narrow.survey_ids:
        return []
    at = AnswerRow.submitted_at
    query = (
        _to_take(
            narrow, asked, AnswerRow.id, AnswerRow.submitted_at, Account.name, Account.plan, Contact.name, Contact.email,
            Contact.language, func.coalesce(Staff.name, ""), AnswerRow.provenance, AnswerRow.csat, AnswerRow.nps,
            AnswerRow.wants_help, AnswerRow.comment, AnswerRow.others,
        )
        .join(Account, Account.id == AnswerRow.account_id)
        .join(Contact, Contact.id == AnswerRow.contact_id)
        .join(JourneyRow, JourneyRow.id == AnswerRow.journey_id)
        .outerjoin(Staff, Staff.id == JourneyRow.owner_id)
        .order_by(at.desc(), AnswerRow.id.desc())
        .limit(AT_A_TIME)
    )  # fmt: skip
    if before is not None:  # in the order of an index, so that it goes on where it was, and sorts nothing
        then = before.submitted_at
        query = query.where(at <= then, or_(at < then, AnswerRow.id < before.id))
    rows = rows_of(db, query)
    if not rows:
        return []
    tags: dict[int, list[str]] = {}
    tagged = select(AnswerTag.answer_id, AnswerTag.tag).where(AnswerTag.answer_id.in_([row[0] for row in rows]))
    for number, tag in rows_of(db, tagged):
        tags.setdefault(number, []).append(tag)
    return [Taken._make((*row, ", ".join(sorted(tags.get(row[0], ()))))) for row in rows]
