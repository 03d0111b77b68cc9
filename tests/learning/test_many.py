"""As much to read as nobody reads through: what is for whom, said by the database; shelves, pages and what comes next."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert

from portal.accounts.rules import Language
from portal.db import Database
from portal.learning import desk, queries
from portal.learning.models import Tutorial, TutorialProgress, TutorialText
from portal.learning.rules import (
    ON_SHELF,
    ON_SHELF_HERE,
    WHEREVER,
    Audience,
    Kind,
    Lesson,
    Reader,
    State,
    is_for,
    next_lesson,
    recommended,
    shelves,
)
from tests import cast, factories

NOON = datetime(2026, 6, 23, 15, tzinfo=UTC)
STAGES = ("first_contact", "deployment", "follow_up_30", WHEREVER)
ROAD = [(key, key) for key in STAGES]


@pytest.fixture
def people(database: Database) -> cast.Cast:
    with database.write() as db:
        return cast.put_on_stage(db, factories.house(database, NOON), now=NOON)


def written(database: Database, count: int, **same: object) -> list[dict[str, object]]:
    """So many published ones, in English: the rows."""
    chance = random.Random(count)  # noqa: S311 - the same ones every time
    rows: list[dict[str, object]] = [
        {
            "id": 100 + n,
            "slug": f"read-{n}",
            "kind": (Kind.TUTORIAL, Kind.TUTORIAL, Kind.NEWS, Kind.EXAMPLE)[n % 4],
            "stage_key": chance.choice(STAGES),
            "position": chance.randrange(1, 12),
            "minutes": 3,
            "audience": chance.choice(list(Audience)),
            "plans": chance.choice(
                [[], [], ["Growth"], ["  growth ", "Start"], ["CRÉSCER"], ['A"b', "x'--"], ["Grow"]]
            ),
            "happened_on": date(2026, 6, 1) - timedelta(days=n) if n % 4 == 2 else None,
            "created_at": NOON,
            "changed_at": NOON,
            "published_at": NOON + timedelta(hours=1),
            **same,
        }
        for n in range(count)
    ]
    texts = {"language": Language.EN, "summary": "", "body": "x", "who": "", "achieved": "", "fingerprint": "x"}
    with database.write() as db:
        db.execute(insert(Tutorial), rows)
        db.execute(
            insert(TutorialText),
            [
                {**texts, "tutorial_id": row["id"], "title": row["slug"], "shipped": "", "changed_at": NOON}
                for row in rows
            ],
        )
    return rows


def read(database: Database, contact_id: int, rows: list[dict[str, object]], share: float) -> None:
    """The person began that share of them, and finished two of three."""
    chance = random.Random(7)  # noqa: S311 - the same ones every time
    begun = [row for row in rows if chance.random() < share]
    if not begun:
        return
    with database.write() as db:
        db.execute(
            insert(TutorialProgress),
            [
                {
                    "contact_id": contact_id,
                    "tutorial_id": row["id"],
                    "started_at": NOON,
                    "finished_at": NOON if chance.random() < 2 / 3 else None,
                    "part": 1,
                    "words": "",
                }
                for row in begun
            ],
        )


def all_of(database: Database, reader: Reader) -> list[Lesson]:
    """All lessons for somebody, stage by stage, page by page."""
    found: list[Lesson] = []
    with database.read() as db:
        for key in STAGES:
            page = 1
            while more := queries.of_stage(db, reader, key, page=page, a_page=7):
                found, page = found + more, page + 1
    return found


@pytest.mark.parametrize("plan", ["", "growth", "GROWTH ", "start", "crescer", 'a"B', "X'--", "grow", "%", "row"])
def test_the_database_finds_exactly_what_the_rule_says_is_for_somebody(
    database: Database, people: cast.Cast, plan: str
) -> None:
    rows = written(database, 160)
    for is_primary in (True, False):
        reader = Reader(people.maria, people.padaria, "en", is_primary, plan)
        theirs = {
            row["slug"]
            for row in rows
            if is_for(row["plans"], Audience(row["audience"]), plan=plan, own=reader.audience)  # type: ignore[arg-type]
        }
        with database.read() as db:
            found = {each.slug for kind in Kind for each in queries.newest(db, reader, kind, page=1, a_page=500)}
            counted = sum(queries.counts(db, reader, kind).all for kind in Kind)
        assert found == theirs
        assert counted == len(theirs)


def test_shelves_show_the_first_few_and_count_all(database: Database, people: cast.Cast) -> None:
    read(database, people.maria, written(database, 400, audience=Audience.EVERYONE, plans=[]), 0.5)
    reader = Reader(people.maria, people.padaria, "en", is_primary=True)
    everything = all_of(database, reader)
    assert len(everything) == 200
    with database.read() as db:
        found = queries.shelved(db, reader, STAGES, here="deployment")
        counts = queries.counts(db, reader, Kind.TUTORIAL)
        alone = {key: queries.counts(db, reader, Kind.TUTORIAL, key).by_stage for key in STAGES}
    assert alone == {key: {key: count} for key, count in counts.by_stage.items()}
    whole = shelves(ROAD, everything, here="deployment")
    shown = shelves(ROAD, found.first, here="deployment", counts=counts.by_stage)
    assert [(one.key, one.all, one.finished) for one in shown] == [
        (one.key, len(one.lessons), one.finished) for one in whole
    ]
    for one, of_all in zip(shown, whole, strict=True):
        assert one.lessons == of_all.lessons[: ON_SHELF_HERE if one.is_here else ON_SHELF]


@pytest.mark.parametrize("share", [0, 0.1, 0.6, 0.97, 1])
@pytest.mark.parametrize("here", ["", "first_contact", "deployment", "follow_up_30"])
def test_a_few_of_each_stage_are_enough_to_recommend_and_to_go_on(
    database: Database, people: cast.Cast, share: float, here: str
) -> None:
    read(database, people.maria, written(database, 240, audience=Audience.EVERYONE, plans=[]), share)
    reader = Reader(people.maria, people.padaria, "en", is_primary=True)
    everything = all_of(database, reader)
    with database.read() as db:
        in_hand = queries.shelved(db, reader, STAGES, here=here).in_hand
        assert recommended(ROAD[:-1], in_hand, here=here) == recommended(ROAD[:-1], everything, here=here)
        along = [each for one in shelves(ROAD, everything, here=here) for each in one.lessons]
        for lesson in everything[::5]:
            found = queries.from_here(db, reader, STAGES, lesson)
            few = [each for one in shelves(ROAD, found.to_read, here=here) for each in one.lessons]
            assert next_lesson(few, lesson.slug) == next_lesson(along, lesson.slug)
            own = [each for each in along if each.stage_key == lesson.stage_key]
            place = own.index(lesson)
            assert found.around == own[max(0, place - 9) : place + 10]
            assert len(found.to_read) <= 19 + 2 * len(STAGES)


def test_home_gets_a_few_and_how_many_news_there_are(database: Database, people: cast.Cast) -> None:
    read(database, people.maria, written(database, 400, audience=Audience.EVERYONE, plans=[]), 0.5)
    reader = Reader(people.maria, people.padaria, "en", is_primary=True)
    with database.read() as db:
        lessons, unread = queries.for_home(db, reader, "deployment")
    assert unread == 100 and len(lessons) <= 9 * ON_SHELF
    news = [each.slug for each in lessons if each.is_unread]
    assert "read-2" in news and "read-6" in news and len(news) == ON_SHELF  # of the newest days
    everything = [
        each
        for each in all_of(database, reader)
        if each.stage_key in ("deployment", WHEREVER) or each.state is State.OPEN
    ]
    for here in ("deployment", "follow_up_30"):
        road = ROAD[:-1] if here == "deployment" else []
        assert recommended(road, lessons, here=here) == recommended(road, everything, here=here)


def test_staff_find_every_one_once_page_by_page_in_the_order_of_the_road(database: Database, people: cast.Cast) -> None:
    written(database, 130)
    keys = list(STAGES[:-1])
    with database.read() as db:
        pages = [desk.listed(db, "en", desk.Wanted(), keys, page=page, a_page=50) for page in (1, 2, 3, 4)]
        drafts = desk.listed(db, "en", desk.Wanted(is_published=False), keys, page=1, a_page=50)
        lacking = desk.listed(db, "en", desk.Wanted(kind="news", missing="pt-BR"), keys, page=1, a_page=50)
        odd = desk.listed(db, "en", desk.Wanted(kind="poem"), keys, page=1, a_page=50)
        report, reported = desk.report(db, "en", page=3, a_page=50)
    assert [(len(items), count, everything) for items, count, everything in pages] == [
        (50, 130, 130),
        (50, 130, 130),
        (30, 130, 130),
        (0, 130, 130),
    ]
    found = [item for items, *_ in pages for item in items]
    order = {key: place for place, key in enumerate(keys)}
    kinds = list(Kind)
    assert found == sorted(
        found, key=lambda each: (kinds.index(each.kind), order.get(each.stage_key, -1), each.position, each.slug)
    )
    assert len({item.id for item in found}) == 130
    assert drafts == ([], 0, 130) and odd == ([], 0, 130)
    assert len(lacking[0]) == lacking[1] == sum(each.kind is Kind.NEWS for each in found)
    assert (len(report), reported) == (30, 130)
