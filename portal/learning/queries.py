"""What the learning pages show: the lessons of a stage, all lessons along the road, one lesson to read."""

from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, func, select
from sqlalchemy.orm import Session, aliased

from portal.accounts.rules import Language
from portal.db import rows_of
from portal.errors import NotFound
from portal.journeys.models import JourneyRow, PipelineRow, StageRow
from portal.journeys.shipped import AFTER_SALE
from portal.learning.models import Tutorial, TutorialProgress, TutorialText
from portal.learning.rules import Lesson


class Reading(NamedTuple):
    """One tutorial as somebody reads it. `body` is Markdown, `language` the one it is written in."""

    lesson: Lesson
    body: str
    language: str
    helped: bool | None


class Road(NamedTuple):
    """The stages of a customer's road (key, name as customers read it) and where they are; "" if not on it."""

    stages: list[tuple[str, str]]
    here: str


# Who reads pt-BR gets English where a text has no translation yet, and the other way round: better than nothing at all.
_own, _other = aliased(TutorialText, name="own"), aliased(TutorialText, name="other")


def _lessons(*more: Any) -> Select[Any]:
    """For `contact_id` and `language`."""
    own, language = func.coalesce, bindparam("language", type_=_own.language.type)
    return (
        select(
            Tutorial.slug,
            Tutorial.stage_key,
            Tutorial.position,
            Tutorial.minutes,
            own(_own.title, _other.title),
            own(_own.summary, _other.summary),
            TutorialProgress.started_at,
            TutorialProgress.finished_at,
            *more,
        )
        .outerjoin(_own, and_(_own.tutorial_id == Tutorial.id, _own.language == language))
        .outerjoin(_other, and_(_other.tutorial_id == Tutorial.id, _other.language != language))
        .outerjoin(
            TutorialProgress,
            and_(TutorialProgress.tutorial_id == Tutorial.id, TutorialProgress.contact_id == bindparam("contact_id")),
        )
        .where(Tutorial.published_at.is_not(None), own(_own.title, _other.title).is_not(None))
        .order_by(Tutorial.position, Tutorial.slug)
    )


_ALL = _lessons()
_OF_STAGE = _ALL.where(Tutorial.stage_key == bindparam("stage_key"))
_READING = _lessons(
    func.coalesce(_own.body, _other.body), func.coalesce(_own.language, _other.language), TutorialProgress.helped
).where(Tutorial.slug == bindparam("slug"))


def lessons_for(db: Session, contact_id: int, stage_key: str, language: str) -> list[Lesson]:
    """The lessons of one stage, in order, with how far this person got. One statement."""
    whose = {"contact_id": contact_id, "language": Language(language), "stage_key": stage_key}
    return [Lesson(*row) for row in rows_of(db, _OF_STAGE, whose)]


def all_lessons(db: Session, contact_id: int, language: str) -> list[Lesson]:
    """Every lesson, in the order of positions within whatever stage. One statement."""
    whose = {"contact_id": contact_id, "language": Language(language)}
    return [Lesson(*row) for row in rows_of(db, _ALL, whose)]


def reading(db: Session, contact_id: int, slug: str, language: str) -> Reading:
    """One lesson to read. Errors: NotFound."""
    found = rows_of(db, _READING, {"contact_id": contact_id, "language": Language(language), "slug": slug})
    if not found:
        raise NotFound
    *lesson, body, written_in, helped = found[0]
    return Reading(Lesson(*lesson), body, str(written_in), helped)


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
