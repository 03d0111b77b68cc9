"""What the learning pages show: what is recommended, all there is for this person, one thing to read."""

from typing import Any, NamedTuple

from sqlalchemy import Boolean, Integer, Select, String, and_, bindparam, case, func, literal, or_, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.expression import FunctionElement

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language, folded
from portal.db import Json, rows_of
from portal.errors import NotFound
from portal.journeys.models import JourneyRow, PipelineRow, StageRow
from portal.journeys.shipped import AFTER_SALE
from portal.learning.models import NewsSeen, Tutorial, TutorialProgress, TutorialText
from portal.learning.rules import (
    AROUND,
    MOST_RECOMMENDED,
    ON_SHELF,
    ON_SHELF_HERE,
    Audience,
    Count,
    Kind,
    Lesson,
    Reader,
    State,
)


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


class Counts(NamedTuple):
    """How many there are for somebody: lessons by the key of their stage, examples and news."""

    by_stage: dict[str, Count]
    examples: Count
    news: Count


class Shelved(NamedTuple):
    """`first`: the first lessons of each stage. `in_hand`: of each stage the first begun and the first new ones."""

    first: list[Lesson]
    in_hand: list[Lesson]


# For whom something is


class _Names(FunctionElement[bool]):
    """`_Names(words, word)`: whether a list of words in JSON has that word."""

    inherit_cache = True
    type = Boolean()


@compiles(_Names, "sqlite")
def _names_on_sqlite(element: _Names, compiler: Any, **how: Any) -> str:
    words, word = (compiler.process(each, **how) for each in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({words}) AS named WHERE named.value = {word})"  # noqa: S608 - of bound values


@compiles(_Names, "postgresql")
def _names_on_postgresql(element: _Names, compiler: Any, **how: Any) -> str:
    words, word = (compiler.process(each, **how) for each in element.clauses)
    return f"({words} ? {word})"


_contact: Any = bindparam("contact_id")
_THEIRS = (
    Tutorial.published_at.is_not(None),
    Tutorial.audience.in_((Audience.EVERYONE, bindparam("audience", type_=Tutorial.audience.type))),
    or_(Tutorial.for_plans == literal([], Json), _Names(Tutorial.for_plans, bindparam("plan", type_=String()))),
)
"""What `rules.is_for` says, for the database: of `audience` and `plan`. What is published has words (`writing.publish`)."""
_PROGRESS = and_(TutorialProgress.tutorial_id == Tutorial.id, TutorialProgress.contact_id == _contact)


def _values(db: Session, reader: Reader, **more: Any) -> dict[str, Any]:
    """What every statement here is about."""
    plan = reader.plan
    if plan is None:
        plan = db.scalar(select(Account.plan).where(Account.id == reader.account_id)) or ""
    return {
        "contact_id": reader.contact_id,
        "audience": reader.audience,
        "plan": folded(plan),
        "language": Language(reader.language),
        **more,
    }


def _theirs(*columns: Any) -> Select[Any]:
    """Of all there is for this reader, without the words: what is counted, and chosen from."""
    return select(*columns).select_from(Tutorial).outerjoin(TutorialProgress, _PROGRESS).where(*_THEIRS)


# As they read it

# Who reads pt-BR gets English where a text has no translation yet, and the other way round: better than nothing at all.
_own, _other = aliased(TutorialText, name="own"), aliased(TutorialText, name="other")


def _either(name: str) -> Any:
    return func.coalesce(getattr(_own, name), getattr(_other, name))


_seen = select(NewsSeen.seen_at).where(NewsSeen.contact_id == _contact).scalar_subquery()
_joined = select(Contact.created_at).where(Contact.id == _contact).scalar_subquery()
_is_new = and_(Tutorial.kind == Kind.NEWS, Tutorial.published_at > func.coalesce(_seen, _joined))
_IN_ORDER = (Tutorial.position, Tutorial.slug)
_NEWEST_FIRST = (Tutorial.happened_on.desc().nulls_last(), Tutorial.slug)


def _lessons(chosen: Any, *more: Any, order: Any = _IN_ORDER) -> Select[Any]:
    """The words of those whose ids are `chosen`: a `Lesson`, and what more is wanted."""
    language = bindparam("language", type_=_own.language.type)
    return (
        select(
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
            _is_new,
            *more,
        )
        .select_from(chosen)
        .join(Tutorial, Tutorial.id == chosen.c.id)
        .outerjoin(_own, and_(_own.tutorial_id == Tutorial.id, _own.language == language))
        .outerjoin(_other, and_(_other.tutorial_id == Tutorial.id, _other.language != language))
        .outerjoin(TutorialProgress, _PROGRESS)
        .where(_either("title").is_not(None))
        .order_by(*order)
    )


_LESSON = len(Lesson._fields)


def _found(db: Session, statement: Any, values: dict[str, Any]) -> list[tuple[Lesson, Any]]:
    """Pairs of the lesson and the further columns. One statement."""
    found = []
    for row in rows_of(db, statement, values):
        lesson = Lesson(*row[:_LESSON])
        lesson = lesson._replace(language=str(lesson.language), is_unread=bool(lesson.is_unread))
        found.append((lesson, row[_LESSON:]))
    return found


def _numbered(partition: Any, order: Any = _IN_ORDER) -> Any:
    return func.row_number().over(partition_by=partition, order_by=order)


_state = case(
    (TutorialProgress.finished_at.is_not(None), State.DONE.value),
    (TutorialProgress.started_at.is_not(None), State.OPEN.value),
    else_=State.NEW.value,
)
_is_lesson = Tutorial.kind == Kind.TUTORIAL

# Home: of its stage and of the whole road, what is begun anywhere, and news that this person hasn't seen

_of_home = (
    _theirs(
        Tutorial.id,
        _numbered(
            [Tutorial.kind, *(case((_is_lesson, each), else_="") for each in (Tutorial.stage_key, _state))],
            [case((Tutorial.kind == Kind.NEWS, Tutorial.happened_on)).desc().nulls_last(), *_IN_ORDER],
        ).label("place"),
        func.count().over(partition_by=Tutorial.kind).label("of_kind"),
    )
    .where(
        or_(
            and_(_is_lesson, Tutorial.stage_key.in_((bindparam("stage_key"), ""))),
            and_(_is_lesson, TutorialProgress.started_at.is_not(None), TutorialProgress.finished_at.is_(None)),
            _is_new,
        )
    )
    .subquery()
)
_FOR_HOME = _lessons(_of_home, _of_home.c.of_kind).where(_of_home.c.place <= ON_SHELF)


def for_home(db: Session, reader: Reader, stage_key: str) -> tuple[list[Lesson], int]:
    """What home needs: the first lessons of one stage and of the whole road in each state, those begun, the newest of the
    news this person hasn't seen; and how many such news there are. One statement."""
    found = _found(db, _FOR_HOME, _values(db, reader, stage_key=stage_key))
    unread = next((of_kind for lesson, (of_kind,) in found if lesson.is_unread), 0)
    return [lesson for lesson, _ in found], unread


def lessons_for(db: Session, reader: Reader, stage_key: str) -> list[Lesson]:
    """The same without how many."""
    return for_home(db, reader, stage_key)[0]


# The lists

_COUNTS = _theirs(
    Tutorial.kind,
    case((_is_lesson, Tutorial.stage_key), else_="").label("stage"),
    func.count(),
    func.count(TutorialProgress.finished_at),
    func.sum(case((_is_new, 1), else_=0)),
).group_by(Tutorial.kind, "stage")


def counts(db: Session, reader: Reader) -> Counts:
    """How many there are for this person. One statement."""
    by_stage = {}
    others = {Kind.EXAMPLE: Count(), Kind.NEWS: Count()}
    for kind, stage, *numbers in rows_of(db, _COUNTS, _values(db, reader)):
        count = Count(*map(int, numbers))
        if kind is Kind.TUTORIAL:
            by_stage[stage] = count
        else:
            others[kind] = count
    return Counts(by_stage, others[Kind.EXAMPLE], others[Kind.NEWS])


_on_road = (
    _theirs(
        Tutorial.id,
        Tutorial.stage_key,
        _state.label("state"),
        _numbered(Tutorial.stage_key).label("place"),
        _numbered([Tutorial.stage_key, _state]).label("place_in_state"),
    )
    .where(_is_lesson)
    .subquery()
)
_is_first = or_(
    _on_road.c.place <= ON_SHELF,
    and_(_on_road.c.place <= ON_SHELF_HERE, _on_road.c.stage_key == bindparam("here", type_=String())),
)
_is_in_hand = and_(_on_road.c.state != State.DONE.value, _on_road.c.place_in_state <= MOST_RECOMMENDED)
_SHELVED = _lessons(_on_road, _is_first, _is_in_hand).where(or_(_is_first, _is_in_hand))


def shelved(db: Session, reader: Reader, *, here: str) -> Shelved:
    """The lessons of all stages, a few of each; `here`: the key of the stage of which more are wanted. One statement."""
    found = _found(db, _SHELVED, _values(db, reader, here=here))
    return Shelved(
        [lesson for lesson, (is_first, _) in found if is_first],
        [lesson for lesson, (_, is_in_hand) in found if is_in_hand],
    )


def _page(order: Any, *where: Any) -> Select[Any]:
    """A page of a list: `most` after those that are `skipped`."""
    most, skipped = bindparam("most", type_=Integer()), bindparam("skipped", type_=Integer())
    chosen = _theirs(Tutorial.id).where(*where).order_by(*order).limit(most).offset(skipped).subquery()
    return _lessons(chosen, order=order)


_of_kind = Tutorial.kind == bindparam("kind", type_=Tutorial.kind.type)
_NEWEST = _page(_NEWEST_FIRST, _of_kind)
_EXAMPLES = _page(_IN_ORDER, _of_kind)
_OF_STAGE = _page(_IN_ORDER, _of_kind, Tutorial.stage_key == bindparam("stage_key"))


def _listed(db: Session, statement: Any, reader: Reader, page: int, a_page: int, **more: Any) -> list[Lesson]:
    values = _values(db, reader, most=a_page, skipped=(page - 1) * a_page, **more)
    return [lesson for lesson, _ in _found(db, statement, values)]


def newest(db: Session, reader: Reader, kind: Kind, *, page: int, a_page: int) -> list[Lesson]:
    """A page of news, or of another kind by its days; the newest first. One statement."""
    return _listed(db, _NEWEST, reader, page, a_page, kind=kind)


def examples(db: Session, reader: Reader, *, page: int, a_page: int) -> list[Lesson]:
    """A page of the examples. One statement."""
    return _listed(db, _EXAMPLES, reader, page, a_page, kind=Kind.EXAMPLE)


def of_stage(db: Session, reader: Reader, stage_key: str, *, page: int, a_page: int) -> list[Lesson]:
    """A page of a stage's lessons. One statement."""
    return _listed(db, _OF_STAGE, reader, page, a_page, kind=Kind.TUTORIAL, stage_key=stage_key)


# One to read

_one = _theirs(Tutorial.id).where(Tutorial.slug == bindparam("slug")).subquery()
_READING = _lessons(
    _one, Tutorial.id, _either("body"), TutorialProgress.helped, func.coalesce(TutorialProgress.words, "")
)


def reading(db: Session, reader: Reader, slug: str) -> Reading:
    """One of them to read. Errors: NotFound, also for what is not for this person."""
    for lesson, (id_, body, helped, words) in _found(db, _READING, _values(db, reader, slug=slug)):
        return Reading(id_, lesson, body, lesson.language, helped, words)
    raise NotFound


_slug, _position = bindparam("slug", type_=String()), bindparam("position", type_=Integer())
_side = case(
    (Tutorial.slug == _slug, 0),
    (or_(Tutorial.position < _position, and_(Tutorial.position == _position, Tutorial.slug < _slug)), -1),
    else_=1,
)
_own_stage = (
    _theirs(
        Tutorial.id,
        _side.label("side"),
        _numbered(_side).label("place"),
        _numbered(_side, [each.desc() for each in _IN_ORDER]).label("place_back"),
    )
    .where(_is_lesson, Tutorial.stage_key == bindparam("stage_key"))
    .subquery()
)
_unread = (
    _theirs(Tutorial.id, _numbered([Tutorial.stage_key, _side]).label("place"))
    .where(_is_lesson, TutorialProgress.finished_at.is_(None), Tutorial.slug != _slug)
    .subquery()
)
_from_here = union_all(
    select(_own_stage.c.id, literal(1, Integer()).label("is_around")).where(
        or_(
            _own_stage.c.side == 0,
            and_(_own_stage.c.side > 0, _own_stage.c.place < AROUND),
            and_(_own_stage.c.side < 0, _own_stage.c.place_back < AROUND),
        )
    ),
    select(_unread.c.id, literal(0, Integer())).where(_unread.c.place == 1),
).subquery()
_FROM_HERE = _lessons(_from_here, _from_here.c.is_around)


class FromHere(NamedTuple):
    """`around`: the lessons of a stage around one of them. `to_read`: those, and the first unread ones of each stage."""

    around: list[Lesson]
    to_read: list[Lesson]


def from_here(db: Session, reader: Reader, lesson: Lesson) -> FromHere:
    """Where somebody goes on from a lesson: enough for `rules.around` and `rules.next_lesson`. One statement."""
    values = _values(db, reader, slug=lesson.slug, position=lesson.position, stage_key=lesson.stage_key)
    found = _found(db, _FROM_HERE, values)
    return FromHere([each for each, (is_around,) in found if is_around], list(dict.fromkeys(each for each, _ in found)))


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
