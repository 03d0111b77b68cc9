"""What staff see of what there is to read: the list with what is missing, versions, pictures and files, and the report."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, case, cast, exists, false, func, or_, select
from sqlalchemy.orm import Session

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language
from portal.errors import NotFound
from portal.journeys.models import PipelineRow, StageRow
from portal.journeys.shipped import AFTER_SALE
from portal.learning.models import Tutorial, TutorialProgress, TutorialText, TutorialVersion
from portal.learning.rules import Audience, Kind, is_for
from portal.media import Kept, Medium, Reach


class Item(NamedTuple):
    """One of the list; `languages` are those that it is written in."""

    id: int
    slug: str
    kind: Kind
    stage_key: str
    position: int
    minutes: int
    audience: Audience
    plans: list[str]
    happened_on: date | None
    version: int
    published_at: datetime | None
    changed_at: datetime
    title: str
    languages: frozenset[str]

    @property
    def missing(self) -> list[str]:
        return [str(each) for each in Language if each not in self.languages]

    @property
    def path(self) -> str:
        return f"/admin/lessons/{self.id}"


class Wanted(NamedTuple):
    """Which of them to list; None: whatever it is. `missing`: a language that it lacks."""

    kind: str | None = None
    stage: str | None = None
    is_published: bool | None = None
    missing: str | None = None


_COLUMNS = [getattr(Tutorial, name) for name in Item._fields[:12]]
_KINDS = case({kind.value: place for place, kind in enumerate(Kind)}, value=cast(Tutorial.kind, String))


def listed(
    db: Session, language: str, wanted: Wanted, stages: Sequence[str], *, page: int, a_page: int
) -> tuple[list[Item], int, int]:
    """A page of what there is, drafts included, by kind, then the road (`stages`, in their order); how many of the kind
    wanted there are, and how many in all. Three statements."""
    conditions = list(_conditions(wanted))
    count = select(func.count()).select_from(Tutorial)
    number, everything = db.execute(select(count.where(*conditions).scalar_subquery(), count.scalar_subquery())).one()
    on_road = (
        [case({key: place for place, key in enumerate(stages)}, value=Tutorial.stage_key, else_=-1)] if stages else []
    )
    order = (_KINDS, *on_road, Tutorial.position, Tutorial.slug)
    chosen = _page(select(Tutorial.id).where(*conditions), order, page, a_page)
    return _items(db, language, chosen), number, everything


def _page(ids: Select[Any], order: Sequence[Any], page: int, a_page: int) -> Select[Any]:
    """Only ids are sorted: all columns of all rows take three times as long."""
    shown = ids.order_by(*order).limit(a_page).offset((page - 1) * a_page).subquery()
    return select(*_COLUMNS).join(shown, shown.c.id == Tutorial.id).order_by(*order)


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.kind is not None:
        yield cast(Tutorial.kind, String) == wanted.kind
    if wanted.stage is not None:
        yield Tutorial.stage_key == wanted.stage
    if wanted.is_published is not None:
        yield Tutorial.published_at.is_not(None) if wanted.is_published else Tutorial.published_at.is_(None)
    if wanted.missing is not None:
        written = exists().where(
            TutorialText.tutorial_id == Tutorial.id, cast(TutorialText.language, String) == wanted.missing
        )
        yield ~written if wanted.missing in set(Language) else false()


def _items(db: Session, language: str, chosen: Select[Any]) -> list[Item]:
    """With their titles, in that language if they have one. Two statements."""
    rows = db.execute(chosen).all()
    texts: dict[int, dict[str, str]] = {}
    for id_, written_in, title in db.execute(
        select(TutorialText.tutorial_id, TutorialText.language, TutorialText.title)
        .where(TutorialText.tutorial_id.in_([row.id for row in rows]))
        .order_by(TutorialText.tutorial_id, TutorialText.language)  # by language alone SQLite reads them all
    ):
        texts.setdefault(id_, {})[str(written_in)] = title
    found = []
    for row in rows:
        titles = texts.get(row.id, {})
        title = titles.get(language) or next(iter(titles.values()), row.slug)
        found.append(Item._make([*row, title, frozenset(titles)]))
    return found


def item(db: Session, tutorial_id: int, language: str) -> Item:
    """One of them. Errors: NotFound."""
    for found in _items(db, language, select(*_COLUMNS).where(Tutorial.id == tutorial_id)):
        return found
    raise NotFound


def kinds(db: Session) -> dict[int, Kind]:
    """What each is, by its number, of those that somebody has read."""
    read = select(TutorialProgress.tutorial_id)
    return {id_: kind for id_, kind in db.execute(select(Tutorial.id, Tutorial.kind).where(Tutorial.id.in_(read)))}


def stage_names(db: Session, language: str) -> list[tuple[str, str]]:
    """Key and staff's name of each after-sale stage, in their order."""
    newest = select(func.max(PipelineRow.version)).where(PipelineRow.key == AFTER_SALE).scalar_subquery()
    name = StageRow.name_pt if language == Language.PT_BR else StageRow.name_en
    rows = db.execute(
        select(StageRow.key, name)
        .join(PipelineRow, PipelineRow.id == StageRow.pipeline_id)
        .where(PipelineRow.key == AFTER_SALE, PipelineRow.version == newest)
        .order_by(StageRow.position)
    )
    return [(key, named) for key, named in rows]


def plans(db: Session) -> list[str]:
    """The plans that customers have."""
    return list(db.scalars(select(Account.plan).where(Account.plan != "").distinct().order_by(Account.plan)))


# Versions


class Version(NamedTuple):
    """One version, without its words; `name` of who saved it, empty where nobody did by hand."""

    number: int
    by: str
    name: str
    at: datetime
    restored_from: int | None


def versions(db: Session, tutorial_id: int) -> list[Version]:
    """The newest first."""
    who = TutorialVersion.by == "staff:" + cast(Staff.id, String)
    rows = db.execute(
        select(
            TutorialVersion.number,
            TutorialVersion.by,
            func.coalesce(Staff.name, ""),
            TutorialVersion.at,
            TutorialVersion.restored_from,
        )
        .outerjoin(Staff, who)
        .where(TutorialVersion.tutorial_id == tutorial_id)
        .order_by(TutorialVersion.number.desc())
    )
    return [Version(*row) for row in rows]


def version(db: Session, tutorial_id: int, number: int) -> TutorialVersion:
    """One with its words. Errors: NotFound."""
    found = db.get(TutorialVersion, (tutorial_id, number))
    if found is None:
        raise NotFound
    return found


# Pictures and files


_WORN = select(Staff.id).where(Staff.portrait == "/media/" + Medium.address + "/" + Medium.name).exists()
"""A colleague's own face, which is nobody's to put into a lesson or to delete."""
_THEIRS = (Medium.reach == Reach.BY_ADDRESS, Medium.created_by.startswith("staff:"), ~_WORN)


def uploads(db: Session, *, most: int = 24) -> list[Kept]:
    """The newest pictures and files that staff uploaded to be shown."""
    columns = [getattr(Medium, name) for name in Kept._fields]
    wanted = select(*columns).where(*_THEIRS).order_by(Medium.id.desc()).limit(most)
    return [Kept(*row) for row in db.execute(wanted)]


def uploaded(db: Session, medium_id: int) -> Kept:
    """One of them. Errors: NotFound, also for what nobody of us uploaded to be shown."""
    columns = [getattr(Medium, name) for name in Kept._fields]
    row = db.execute(select(*columns).where(Medium.id == medium_id, *_THEIRS)).first()
    if row is None:
        raise NotFound
    return Kept(*row)


def shown_in(db: Session, address: str) -> tuple[str, ...]:
    """The titles of what shows that picture or file, as it stands or in any version that could be brought back."""
    stands = select(TutorialText.tutorial_id).where(TutorialText.body.contains(address, autoescape=True))
    kept = select(TutorialVersion.tutorial_id).where(
        cast(TutorialVersion.content, String).contains(address, autoescape=True)
    )
    titles = (
        select(TutorialText.title)
        .where(or_(TutorialText.tutorial_id.in_(stands), TutorialText.tutorial_id.in_(kept)))
        .order_by(TutorialText.tutorial_id, TutorialText.language)
    )
    return tuple(dict.fromkeys(db.scalars(titles)))


def unknown_media(db: Session, addresses: Collection[str]) -> set[str]:
    """Those of the addresses at which we keep nothing for everybody."""
    known = select(Medium.address).where(Medium.address.in_(addresses), Medium.reach == Reach.BY_ADDRESS)
    return set(addresses) - set(db.scalars(known)) if addresses else set()


# The report


class Reached(NamedTuple):
    """How one of them fares; `people` are those it is for."""

    item: Item
    people: int
    started: int
    finished: int
    helped: int
    not_helped: int


def report(db: Session, language: str, *, page: int, a_page: int) -> tuple[list[Reached], int]:
    """A page of all that is published or was ever read; and how many that are. Five statements, however much there is."""
    crowd = _crowd(db)
    told = TutorialProgress.helped
    conditions = or_(Tutorial.published_at.is_not(None), exists().where(TutorialProgress.tutorial_id == Tutorial.id))
    count = db.scalar(select(func.count()).select_from(Tutorial).where(conditions)) or 0
    order = (Tutorial.kind.desc(), Tutorial.position, Tutorial.slug)
    shown = _items(db, language, _page(select(Tutorial.id).where(conditions), order, page, a_page))
    rows = db.execute(
        select(
            TutorialProgress.tutorial_id,
            func.count(),
            func.count(TutorialProgress.finished_at),
            func.sum(case((told.is_(True), 1), else_=0)),
            func.sum(case((told.is_(False), 1), else_=0)),
        )
        .where(TutorialProgress.tutorial_id.in_([one.id for one in shown]))
        .group_by(TutorialProgress.tutorial_id)
    )
    counted = {row[0]: tuple(int(number) for number in row[1:]) for row in rows}
    found = []
    for one in shown:
        people = sum(
            number
            for plan, is_primary, number in crowd
            if is_for(one.plans, one.audience, plan=plan, own=Audience.PRIMARY if is_primary else Audience.COLLEAGUES)
        )
        found.append(Reached(one, people, *counted.get(one.id, (0, 0, 0, 0))))
    return found, count


def _crowd(db: Session) -> list[tuple[str, bool, int]]:
    """How many people there are, by plan and whether they are the primary contact; of customers who are still here."""
    rows = db.execute(
        select(Account.plan, Contact.is_primary, func.count())
        .join(Contact, Contact.account_id == Account.id)
        .where(Contact.disabled_at.is_(None), Account.churned_on.is_(None))
        .group_by(Account.plan, Contact.is_primary)
    )
    return [(plan, is_primary, number) for plan, is_primary, number in rows]


class Learner(NamedTuple):
    """What one person did with one of them; `title` of it, in the language asked for if there is one."""

    contact_id: int
    name: str
    account_id: int
    account: str
    tutorial_id: int
    title: str
    started_at: datetime
    finished_at: datetime | None
    part: int
    helped: bool | None
    words: str


def learners(
    db: Session,
    language: str,
    *,
    tutorial_id: int | None = None,
    account_id: int | None = None,
    helped: bool | None = None,
    most: int | None = None,
    skipped: int = 0,
) -> list[Learner]:
    """Who read what, those whom it did not help first, then the latest; `most` after those that are `skipped`.

    `helped`: only those who said so. One statement.
    """
    titles = (
        select(TutorialText.title)
        .where(TutorialText.tutorial_id == TutorialProgress.tutorial_id)
        .order_by(case((TutorialText.language == Language(language), 0), else_=1))
        .limit(1)
        .scalar_subquery()
    )
    wanted = (
        select(
            Contact.id,
            Contact.name,
            Account.id,
            Account.name,
            TutorialProgress.tutorial_id,
            func.coalesce(titles, ""),
            TutorialProgress.started_at,
            TutorialProgress.finished_at,
            TutorialProgress.part,
            TutorialProgress.helped,
            TutorialProgress.words,
        )
        .join(Contact, Contact.id == TutorialProgress.contact_id)
        .join(Account, Account.id == Contact.account_id)
        .order_by(
            case((TutorialProgress.helped.is_(False), 0), else_=1),
            func.coalesce(TutorialProgress.finished_at, TutorialProgress.started_at).desc(),
            Contact.id,
            TutorialProgress.tutorial_id,
        )
    )
    if tutorial_id is not None:
        wanted = wanted.where(TutorialProgress.tutorial_id == tutorial_id)
    if account_id is not None:
        wanted = wanted.where(Contact.account_id == account_id)
    if helped is not None:
        wanted = wanted.where(TutorialProgress.helped.is_(helped))
    return [Learner(*row) for row in db.execute(wanted.limit(most).offset(skipped or None))]


def readers(db: Session, language: str, tutorial_id: int, *, page: int, a_page: int) -> tuple[list[Learner], int]:
    """A page of those who read one of them; and how many that are. Two statements."""
    of_it = select(func.count()).select_from(TutorialProgress).where(TutorialProgress.tutorial_id == tutorial_id)
    shown = learners(db, language, tutorial_id=tutorial_id, most=a_page, skipped=(page - 1) * a_page)
    return shown, db.scalar(of_it) or 0


def complaints(db: Session, language: str, *, most: int = 20) -> list[Learner]:
    """The latest of those whom something did not help."""
    return learners(db, language, helped=False, most=most)
