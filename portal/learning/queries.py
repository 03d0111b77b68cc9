"""What the learning pages show: what is recommended, all there is for this person, one thing to read."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.db import rows_of
from portal.errors import NotFound
from portal.journeys.models import JourneyRow, PipelineRow, StageRow
from portal.journeys.shipped import AFTER_SALE
from portal.learning.models import NewsSeen, Tutorial, TutorialProgress, TutorialText
from portal.learning.rules import Audience, Kind, Lesson, Reader, is_for


class Reading(NamedTuple):
    """Something as somebody reads it. `body` is Markdown, `language` the one it is written in, `words` what they missed."""

    id: int
    lesson: Lesson
    body: str
    language: str
    helped: bool | None
    words: str


class Road(NamedTuple):
    """The stages of a customer's road (key, name as customers read it) and where they are; "" if not on it."""

    stages: list[tuple[str, str]]
    here: str


# Who reads pt-BR gets English where a text has no translation yet, and the other way round: better than nothing at all.
_own, _other = aliased(TutorialText, name="own"), aliased(TutorialText, name="other")


def _either(name: str) -> Any:
    return func.coalesce(getattr(_own, name), getattr(_other, name))


def _lessons(*more: Any) -> Select[Any]:
    """For `contact_id`, `account_id`, `audience` and `language`; first what `_found` takes away again."""
    language = bindparam("language", type_=_own.language.type)
    contact: Any = bindparam("contact_id")
    account: Any = bindparam("account_id")
    seen = select(NewsSeen.seen_at).where(NewsSeen.contact_id == contact).scalar_subquery()
    joined = select(Contact.created_at).where(Contact.id == contact).scalar_subquery()
    return (
        select(
            Tutorial.plans,
            Tutorial.audience,
            select(Account.plan).where(Account.id == account).scalar_subquery(),
            Tutorial.slug,
            Tutorial.stage_key,
            Tutorial.position,
            Tutorial.minutes,
            _either("title"),
            _either("summary"),
            TutorialProgress.started_at,
            TutorialProgress.finished_at,
            Tutorial.kind,
            _either("language"),
            func.coalesce(TutorialProgress.part, 0),
            Tutorial.happened_on,
            _either("who"),
            _either("achieved"),
            and_(Tutorial.kind == Kind.NEWS, Tutorial.published_at > func.coalesce(seen, joined)),
            *more,
        )
        .outerjoin(_own, and_(_own.tutorial_id == Tutorial.id, _own.language == language))
        .outerjoin(_other, and_(_other.tutorial_id == Tutorial.id, _other.language != language))
        .outerjoin(
            TutorialProgress, and_(TutorialProgress.tutorial_id == Tutorial.id, TutorialProgress.contact_id == contact)
        )
        .where(
            Tutorial.published_at.is_not(None),
            Tutorial.audience.in_((Audience.EVERYONE, bindparam("audience", type_=Tutorial.audience.type))),
            _either("title").is_not(None),
        )
        .order_by(Tutorial.position, Tutorial.slug)
    )


_LESSON = len(Lesson._fields)
_ALL = _lessons()
_is_new = _ALL.selected_columns[3 + _LESSON - 1]
_FOR_HOME = _ALL.where(
    or_(
        and_(Tutorial.kind == Kind.TUTORIAL, Tutorial.stage_key.in_((bindparam("stage_key"), ""))),
        and_(
            Tutorial.kind == Kind.TUTORIAL,
            TutorialProgress.started_at.is_not(None),
            TutorialProgress.finished_at.is_(None),
        ),
        _is_new,
    )
)
_READING = _lessons(
    Tutorial.id, _either("body"), TutorialProgress.helped, func.coalesce(TutorialProgress.words, "")
).where(Tutorial.slug == bindparam("slug"))


def _found(db: Session, statement: Any, reader: Reader, **more: Any) -> Iterator[tuple[Lesson, Any]]:
    """What is for this reader, as pairs of the lesson and the further columns. One statement."""
    values = {
        "contact_id": reader.contact_id,
        "account_id": reader.account_id,
        "audience": reader.audience,
        "language": Language(reader.language),
        **more,
    }
    for plans, audience, plan, *row in rows_of(db, statement, values):
        if is_for(plans, audience, plan=plan or "", own=reader.audience):
            lesson = Lesson(*row[:_LESSON])
            yield lesson._replace(language=str(lesson.language), is_unread=bool(lesson.is_unread)), row[_LESSON:]


def lessons_for(db: Session, reader: Reader, stage_key: str) -> list[Lesson]:
    """What home needs: the lessons of one stage and of the whole road, those begun, and news this person hasn't seen."""
    return [lesson for lesson, _ in _found(db, _FOR_HOME, reader, stage_key=stage_key)]


def all_lessons(db: Session, reader: Reader) -> list[Lesson]:
    """Everything for this person, of all kinds, in the order of positions within whatever stage. One statement."""
    return [lesson for lesson, _ in _found(db, _ALL, reader)]


def reading(db: Session, reader: Reader, slug: str) -> Reading:
    """One of them to read. Errors: NotFound, also for what is not for this person."""
    for lesson, (id_, body, helped, words) in _found(db, _READING, reader, slug=slug):
        return Reading(id_, lesson, body, lesson.language, helped, words)
    raise NotFound


def road(db: Session, account_id: int, language: str) -> Road:
    """The account's way through the after-sale stages, as its journey has them; without one, the newest version's."""
    of_account = (
        select(JourneyRow.pipeline_id)
        .where(JourneyRow.account_id == account_id, JourneyRow.pipeline_key == AFTER_SALE)
        .order_by(JourneyRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    newest = (
        select(PipelineRow.id)
        .where(PipelineRow.key == AFTER_SALE)
        .order_by(PipelineRow.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    here = (
        select(JourneyRow.stage_id)
        .where(JourneyRow.account_id == account_id, JourneyRow.pipeline_key == AFTER_SALE)
        .order_by(JourneyRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    name = StageRow.customer_name_pt if language == Language.PT_BR else StageRow.customer_name_en
    rows = db.execute(
        select(StageRow.id, StageRow.key, name, here.label("here"))
        .where(StageRow.pipeline_id == func.coalesce(of_account, newest))
        .order_by(StageRow.position)
    ).all()
    return Road([(key, label) for _, key, label, _ in rows], next((key for id_, key, _, at in rows if id_ == at), ""))
