"""What the learning pages show: what is recommended, all there is for this person, one thing to read."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)
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
    WHEREVER,
    Audience,
    Count,
    Kind,
    Lesson,
    Reader,
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
    """How many there are for somebody: of what was asked for by the key of its stage, and news that they haven't seen."""

    by_stage: dict[str, Count]
    unread_news: int

    @property
    def all(self) -> int:
        return sum(count.all for count in self.by_stage.values())


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
    return select(*columns).select_from(Tutorial).where(*_THEIRS)


def _touched(*columns: Any) -> Select[Any]:
    """Of what this reader has begun or finished, which is little: found from their side, however much there is."""
    return _theirs(*columns).join(TutorialProgress, _PROGRESS)


# As they read it

# Who reads pt-BR gets English where a text has no translation yet, and the other way round: better than nothing at all.
_own, _other = aliased(TutorialText, name="own"), aliased(TutorialText, name="other")


def _either(name: str) -> Any:
    return func.coalesce(getattr(_own, name), getattr(_other, name))


_seen = select(NewsSeen.seen_at).where(NewsSeen.contact_id == _contact).scalar_subquery()
_joined = select(Contact.created_at).where(Contact.id == _contact).scalar_subquery()
_SHOWN = [
    getattr(Tutorial, name)
    for name in ("id", "slug", "stage_key", "position", "minutes", "kind", "happened_on", "published_at")
]


def _is_new(of: Any) -> Any:
    return and_(of.kind == Kind.NEWS, of.published_at > func.coalesce(_seen, _joined))


def _in_order(of: Any) -> tuple[Any, ...]:
    return (of.position, of.slug)


def _backwards(of: Any) -> tuple[Any, ...]:
    return (of.position.desc(), of.slug.desc())


def _newest_first(of: Any) -> tuple[Any, ...]:
    return (of.happened_on.desc().nulls_last(), of.slug)


def _lessons(chosen: Any, *more: Any, order: Any = _in_order) -> Select[Any]:
    """Those that are `chosen` (`_SHOWN`), with their words: a `Lesson`, and what more is wanted."""
    language = bindparam("language", type_=_own.language.type)
    of = chosen.c
    progress = and_(TutorialProgress.tutorial_id == of.id, TutorialProgress.contact_id == _contact)
    return (
        select(
            of.slug,
            of.stage_key,
            of.position,
            of.minutes,
            _either("title"),
            _either("summary"),
            TutorialProgress.started_at,
            TutorialProgress.finished_at,
            of.kind,
            _either("language"),
            func.coalesce(TutorialProgress.part, 0),
            of.happened_on,
            _either("who"),
            _either("achieved"),
            _is_new(of),
            *more,
        )
        .select_from(chosen)
        .outerjoin(_own, and_(_own.tutorial_id == of.id, _own.language == language))
        .outerjoin(_other, and_(_other.tutorial_id == of.id, _other.language != language))
        .outerjoin(TutorialProgress, progress)
        .where(_either("title").is_not(None))
        .order_by(*order(of))
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


_is_lesson = Tutorial.kind == Kind.TUTORIAL
_is_untouched = ~exists().where(_PROGRESS)
_is_finished = exists().where(_PROGRESS, TutorialProgress.finished_at.is_not(None))
_is_unfinished = ~_is_finished
_is_open = TutorialProgress.finished_at.is_(None)


# Each of these reads on in the order of an index until it has enough. One ranking of everything (`row_number`) would be
# shorter to write, and reads and sorts all there is to show a few.


def _first(most: Any, *where: Any, order: Any = _in_order, says: Any = ()) -> Select[Any]:
    """The first few; `says`: constants beside each."""
    return select(_theirs(*_SHOWN, *says).where(*where).order_by(*order(Tutorial)).limit(most).subquery())


def _first_of_each(parts: Any, *where: Any, most: int, says: Any = ()) -> Select[Any]:
    """Of what this reader has begun or finished: the first few of each part."""
    place = func.row_number().over(partition_by=parts, order_by=_in_order(Tutorial)).label("place")
    few = _touched(*_SHOWN, *says, place).where(*where).subquery()
    return select(*list(few.c)[:-1]).where(few.c.place <= most)


def _once(parts: Any) -> Any:
    """Found before their words are: otherwise PostgreSQL reads all words there are, and SQLite joins each part anew."""
    return parts.cte("chosen").prefix_with("MATERIALIZED")


def _of_stage(name: str) -> Any:
    return and_(_is_lesson, Tutorial.stage_key == bindparam(name, type_=String()))


# Home: of its stage and of the whole road, what is begun anywhere, and news that this person hasn't seen

_of_home = union(
    *(
        _first(ON_SHELF, _of_stage(name), state)
        for name in ("stage_key", "wherever")
        for state in (_is_untouched, _is_finished)
    ),
    _first_of_each([Tutorial.stage_key], _is_lesson, _is_open, most=ON_SHELF),
    _first(ON_SHELF, _is_new(Tutorial), order=_newest_first),
).subquery()
_unread_news = _theirs(func.count()).where(_is_new(Tutorial)).correlate(None).scalar_subquery()
_FOR_HOME = _lessons(_of_home, _unread_news)


def for_home(db: Session, reader: Reader, stage_key: str) -> tuple[list[Lesson], int]:
    """What home needs: the first lessons of one stage and of the whole road in each state, those begun, the newest of the
    news this person hasn't seen; and how many such news there are. One statement."""
    found = _found(db, _FOR_HOME, _values(db, reader, stage_key=stage_key, wherever=WHEREVER))
    return [lesson for lesson, _ in found], next((unread for _, (unread,) in found), 0)


def lessons_for(db: Session, reader: Reader, stage_key: str) -> list[Lesson]:
    """The same without how many."""
    return for_home(db, reader, stage_key)[0]


# The lists


def _counts(*where: Any) -> Any:
    """How many there are by stage, how many of them are finished, and how much of the news is unread."""
    none, each = literal(0, Integer()), func.count()
    stage = Tutorial.stage_key
    return union_all(
        _theirs(stage, each, none, none).where(*where).group_by(stage),
        _touched(stage, none, each, none).where(*where, ~_is_open).group_by(stage),
        _theirs(literal("", String()), none, none, each).where(_is_new(Tutorial)),
    )


_of_kind = Tutorial.kind == bindparam("kind", type_=Tutorial.kind.type)
_of_one_stage = Tutorial.stage_key == bindparam("stage_key", type_=String())
_COUNTS = _counts(_of_kind)
_COUNTS_OF_STAGE = _counts(_of_kind, _of_one_stage)


def counts(db: Session, reader: Reader, kind: Kind, stage_key: str | None = None) -> Counts:
    """How many of a kind there are for this person; `stage_key`: only of that stage. One statement."""
    statement, of_stage = (_COUNTS, {}) if stage_key is None else (_COUNTS_OF_STAGE, {"stage_key": stage_key})
    by_stage: dict[str, Count] = {}
    unread_news = 0
    for stage, of_all, finished, unread in rows_of(db, statement, _values(db, reader, kind=kind, **of_stage)):
        unread_news += unread
        if of_all or finished:
            known = by_stage.get(stage, Count())
            by_stage[stage] = Count(known.all + of_all, known.finished + finished)
    return Counts(by_stage, unread_news)


def _keys(stages: Sequence[str]) -> dict[str, str]:
    """Values for the statements that have a part for each stage."""
    return {f"stage_{place}": key for place, key in enumerate(stages)}


@cache
def _shelved_of(count: int) -> Select[Any]:
    """The shelves of so many stages."""
    is_first, is_in_hand = (
        [literal(says, Integer()).label(name) for says, name in zip(each, ("is_first", "is_in_hand"), strict=True)]
        for each in ((1, 0), (0, 1))
    )
    stages = [_of_stage(f"stage_{place}") for place in range(count)]
    most = [bindparam(f"most_{place}", type_=Integer()) for place in range(count)]
    chosen = union_all(
        *(_first(few, stage, says=is_first) for stage, few in zip(stages, most, strict=True)),
        *(_first(MOST_RECOMMENDED, stage, _is_untouched, says=is_in_hand) for stage in stages),
        _first_of_each([Tutorial.stage_key], _is_lesson, _is_open, most=MOST_RECOMMENDED, says=is_in_hand),
    )
    chosen = _once(chosen)
    return _lessons(chosen, chosen.c.is_first, chosen.c.is_in_hand)


def shelved(db: Session, reader: Reader, stages: Sequence[str], *, here: str) -> Shelved:
    """The lessons of these stages, a few of each; `here`: the one of which more are wanted. One statement."""
    most = {f"most_{n}": ON_SHELF_HERE if key == here != WHEREVER else ON_SHELF for n, key in enumerate(stages)}
    found = _found(db, _shelved_of(len(stages)), _values(db, reader, **_keys(stages), **most))
    return Shelved(
        [lesson for lesson, (is_first, _) in found if is_first],
        [lesson for lesson, (_, is_in_hand) in found if is_in_hand],
    )


def _page(order: Any, *where: Any) -> Select[Any]:
    """A page of a list: `most` after those that are `skipped`."""
    most, skipped = bindparam("most", type_=Integer()), bindparam("skipped", type_=Integer())
    chosen = _theirs(*_SHOWN).where(*where).order_by(*order(Tutorial)).limit(most).offset(skipped)
    return _lessons(chosen.subquery(), order=order)


_NEWEST = _page(_newest_first, _of_kind)
_EXAMPLES = _page(_in_order, _of_kind)
_OF_STAGE = _page(_in_order, _of_kind, _of_one_stage)


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

_one = _theirs(*_SHOWN).where(Tutorial.slug == bindparam("slug")).subquery()
_READING = _lessons(
    _one, _one.c.id, _either("body"), TutorialProgress.helped, func.coalesce(TutorialProgress.words, "")
)


def reading(db: Session, reader: Reader, slug: str) -> Reading:
    """One of them to read. Errors: NotFound, also for what is not for this person."""
    for lesson, (id_, body, helped, words) in _found(db, _READING, _values(db, reader, slug=slug)):
        return Reading(id_, lesson, body, lesson.language, helped, words)
    raise NotFound


_slug, _position = bindparam("slug", type_=String()), bindparam("position", type_=Integer())
_is_before = or_(Tutorial.position < _position, and_(Tutorial.position == _position, Tutorial.slug < _slug))
_is_after = or_(Tutorial.position > _position, and_(Tutorial.position == _position, Tutorial.slug > _slug))


@cache
def _from_here_of(count: int) -> Select[Any]:
    """The ways on from a lesson on a road of so many stages."""
    yes, no = ([literal(says, Integer()).label("is_around")] for says in (1, 0))
    own, stages = _of_stage("stage_key"), [_of_stage(f"stage_{place}") for place in range(count)]
    is_another = Tutorial.slug != _slug
    chosen = union_all(
        _first(1, own, ~is_another, says=yes),
        _first(AROUND - 1, own, _is_before, order=_backwards, says=yes),
        _first(AROUND - 1, own, _is_after, says=yes),
        _first(1, own, _is_after, _is_unfinished, says=no),
        *(_first(1, stage, _is_unfinished, is_another, says=no) for stage in stages),
    )
    chosen = _once(chosen)
    return _lessons(chosen, chosen.c.is_around)


class FromHere(NamedTuple):
    """`around`: the lessons of a stage around one of them. `to_read`: those, and the first unread ones of each stage."""

    around: list[Lesson]
    to_read: list[Lesson]


def from_here(db: Session, reader: Reader, stages: Sequence[str], lesson: Lesson) -> FromHere:
    """Where somebody goes on from a lesson: enough for `rules.around` and `rules.next_lesson`. One statement."""
    own = {"slug": lesson.slug, "position": lesson.position, "stage_key": lesson.stage_key}
    found = _found(db, _from_here_of(len(stages)), _values(db, reader, **_keys(stages), **own))
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
