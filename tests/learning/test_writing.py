"""Writing what customers read: who finds it, versions, two people at once, the gate of changes, the report; on both databases."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from portal.accounts.rules import Language
from portal.audit import AuditEvent
from portal.db import Database
from portal.errors import NotFound
from portal.learning import actions, desk, queries, writing
from portal.learning.models import Tutorial, TutorialText, TutorialVersion
from portal.learning.rules import Audience, Draft, Kind, Lesson, Reader, State, Text
from portal.search import queries as search
from portal.search.rules import EVERYBODY, of_place, of_plan
from tests import cast, factories

NOON = datetime(2026, 6, 23, 15, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
EN, PT = Language.EN, Language.PT_BR


def draft(title: str = "Count your stock", kind: Kind = Kind.TUTORIAL, **more: object) -> Draft:
    texts = {EN: Text(title, "In short", "First.\n\n## Then\n\nMore.\n")}
    values = {"stage_key": "deployment", "position": 1, "minutes": 3, "audience": Audience.EVERYONE, "plans": ()}
    on = date(2026, 6, 20) if kind is Kind.NEWS else None
    return Draft(kind, **{**values, "happened_on": on, "texts": texts, **more})  # type: ignore[arg-type]


class Story:
    """The cast, and things to read."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as db:
            self.people = people = cast.put_on_stage(db, factories.house(database, NOON), now=NOON)
        self.maria = Reader(people.maria, people.padaria, "pt-BR", is_primary=True)
        self.joao = Reader(people.joao, people.padaria, "en", is_primary=False)
        self.sofia = Reader(people.sofia, people.floricultura, "en", is_primary=True)
        self.by = f"staff:{people.rui}"

    def written(self, what: Draft, *, now: datetime = NOON, published: bool = True) -> int:
        with self.database.write() as db:
            made = writing.create(db, what, by=self.by, now=now)
            if published:
                writing.publish(db, made, by=self.by, now=now)
        return made

    def found_by(self, reader: Reader) -> list[Lesson]:
        with self.database.read() as db:
            lessons = queries.shelved(db, reader, ["deployment"], here="deployment").first
            examples = queries.examples(db, reader, page=1, a_page=20)
            return [*lessons, *examples, *queries.newest(db, reader, Kind.NEWS, page=1, a_page=20)]

    def titles(self, reader: Reader) -> list[str]:
        return [each.title for each in self.found_by(reader)]


@pytest.fixture
def story(database: Database) -> Story:
    return Story(database)


def test_each_finds_what_is_for_their_plan_and_place(story: Story) -> None:
    story.written(draft("All"))
    story.written(draft("Growth only", plans=("growth",)))
    story.written(draft("Who decides", audience=Audience.PRIMARY))
    story.written(draft("Who joins", audience=Audience.COLLEAGUES))
    story.written(draft("Draft"), published=False)
    assert story.titles(story.maria) == ["All", "Growth only", "Who decides"]
    assert story.titles(story.joao) == ["All", "Growth only", "Who joins"]
    assert story.titles(story.sofia) == ["All", "Who decides"]


def test_what_is_not_for_somebody_is_not_there_for_them_at_all(story: Story) -> None:
    story.written(draft("Growth only", plans=("Growth",)))
    story.written(draft("Draft"), published=False)
    with story.database.read() as db:
        assert queries.reading(db, story.maria, "growth-only").lesson.title == "Growth only"
    for slug in ("growth-only", "draft"):
        with story.database.write() as db, pytest.raises(NotFound):
            queries.reading(db, story.sofia, slug)
        with story.database.write() as db, pytest.raises(NotFound):
            actions.finish(db, story.sofia, slug=slug, now=NOON)


def test_what_lacks_a_translation_says_in_which_language_it_is(story: Story) -> None:
    both = draft("Both", texts={EN: Text("Both", "", "x"), PT: Text("Ambos", "", "x")})
    story.written(both)
    story.written(draft("English only"))
    assert [(each.title, each.language) for each in story.found_by(story.maria)] == [
        ("Ambos", "pt-BR"),
        ("English only", "en"),
    ]


def test_news_is_new_to_each_person_until_they_have_looked(story: Story) -> None:
    story.written(draft("Old news", Kind.NEWS), now=NOON - timedelta(days=1))
    story.written(draft("Fresh news", Kind.NEWS), now=LATER)
    assert [(each.title, each.is_unread) for each in story.found_by(story.maria)] == [
        ("Fresh news", True),
        ("Old news", False),  # from before she was a customer
    ]
    for moment in (LATER, LATER + timedelta(minutes=1)):
        with story.database.write() as db:
            actions.see_news(db, story.maria.contact_id, now=moment)
    assert not any(each.is_unread for each in story.found_by(story.maria))
    assert [each.is_unread for each in story.found_by(story.joao)] == [True, False]


def test_how_far_somebody_read_only_grows(story: Story) -> None:
    story.written(draft())
    for part in (1, 2, 1):
        with story.database.write() as db:
            actions.reach_part(db, story.maria, slug="count-your-stock", part=part, now=NOON)
    [hers], [his] = story.found_by(story.maria), story.found_by(story.joao)
    assert (hers.part, hers.state, his.part, his.state) == (2, State.OPEN, 0, State.NEW)


def test_what_was_missing_is_kept_with_the_no_and_taken_back_with_a_yes(story: Story) -> None:
    lesson = story.written(draft())
    with story.database.write() as db:
        actions.say_whether_it_helped(db, story.maria, slug="count-your-stock", helped=False, now=NOON)
        actions.say_what_was_missing(db, story.maria, slug="count-your-stock", words="The freezer.", now=NOON)
        actions.say_whether_it_helped(db, story.joao, slug="count-your-stock", helped=True, now=NOON)
    with story.database.read() as db:
        assert [(one.name, one.helped, one.words) for one in desk.learners(db, "en", tutorial_id=lesson)] == [
            ("Maria Lima", False, "The freezer."),
            ("João Lima", True, ""),
        ]
        assert [one.name for one in desk.complaints(db, "en")] == ["Maria Lima"]
    with story.database.write() as db:
        actions.say_whether_it_helped(db, story.maria, slug="count-your-stock", helped=True, now=NOON)
    with story.database.read() as db:
        assert desk.complaints(db, "en") == []
        assert queries.reading(db, story.maria, "count-your-stock").words == ""


# Versions


def test_every_save_is_a_version_and_an_older_one_can_come_back(story: Story) -> None:
    first = draft("First")
    lesson = story.written(first)
    second = replace(first, minutes=9, texts={EN: Text("Second", "", "Two"), PT: Text("Segundo", "", "Dois")})
    with story.database.write() as db:
        writing.save(db, lesson, second, version=1, by="staff:7", now=LATER)
    with story.database.read() as db:
        assert writing.draft_of(db, lesson) == second
    with story.database.write() as db:
        writing.restore(db, lesson, 1, version=2, by=story.by, now=LATER)
    with story.database.read() as db:
        assert writing.draft_of(db, lesson) == first
        assert [(one.number, one.name, one.restored_from) for one in desk.versions(db, lesson)] == [
            (3, "Rui Prado", 1),
            (2, "", None),
            (1, "Rui Prado", None),
        ]
        assert db.scalars(select(Tutorial.slug)).all() == ["first"]  # links that people kept stay good
    with story.database.write() as db, pytest.raises(NotFound):
        writing.restore(db, lesson, 9, version=3, by=story.by, now=LATER)


def test_of_two_who_started_from_the_same_version_the_second_is_told_and_nothing_is_overwritten(story: Story) -> None:
    lesson = story.written(draft())
    mine, theirs = (replace(draft(), texts={EN: Text(title, "", "x")}) for title in ("Mine", "Theirs"))
    with story.database.write() as db:
        writing.save(db, lesson, theirs, version=1, by="staff:1", now=NOON)
    with story.database.write() as db, pytest.raises(writing.SavedMeanwhile):
        writing.save(db, lesson, mine, version=1, by="staff:2", now=NOON)
    with story.database.read() as db:
        assert writing.draft_of(db, lesson) == theirs


def test_who_saved_and_published_is_noted(story: Story) -> None:
    lesson = story.written(draft())
    with story.database.write() as db:
        writing.save(db, lesson, draft("Other"), version=1, by=story.by, now=LATER)
        writing.withdraw(db, lesson, by=story.by, now=LATER)
        writing.withdraw(db, lesson, by=story.by, now=LATER)
        writing.take_away(db, lesson, by=story.by, now=LATER)
    with story.database.read() as db:
        told = db.execute(select(AuditEvent.what, AuditEvent.by).order_by(AuditEvent.id)).all()
        ours = [(what.value, by) for what, by in told if what.value.startswith("content")]
        assert ours == [
            (f"content_{what}", story.by) for what in ("created", "published", "changed", "withdrawn", "deleted")
        ]
        assert db.scalars(select(TutorialVersion)).all() == []


def test_only_a_draft_is_deleted_and_nothing_empty_is_published(story: Story) -> None:
    published, empty = story.written(draft()), story.written(draft(texts={}), published=False)
    with story.database.write() as db, pytest.raises(writing.StillPublished):
        writing.take_away(db, published, by=story.by, now=NOON)
    with story.database.write() as db, pytest.raises(writing.NothingToRead):
        writing.publish(db, empty, by=story.by, now=NOON)


def test_what_ships_has_versions_too_and_words_edited_here_stay(story: Story) -> None:
    with story.database.write() as db:
        actions.load_shipped_tutorials(db, now=NOON)
        lesson = db.scalars(select(Tutorial.id).where(Tutorial.slug == "your-first-hour")).one()
    with story.database.read() as db:
        assert [(one.number, one.by) for one in desk.versions(db, lesson)] == [(1, "shipped")]
        shipped = writing.draft_of(db, lesson)
    ours = replace(shipped, texts={**shipped.texts, EN: replace(shipped.texts[EN], title="Our own first hour")})
    with story.database.write() as db:
        writing.save(db, lesson, ours, version=1, by=story.by, now=LATER)
        # The next release brings new words for both languages.
        for row in db.scalars(select(TutorialText).where(TutorialText.tutorial_id == lesson)):
            row.shipped = "an older version of ours"
            if row.language is PT:
                row.fingerprint = "an older version of ours"
    with story.database.write() as db:
        assert actions.load_shipped_tutorials(db, now=LATER) == 1
    with story.database.read() as db:
        assert writing.draft_of(db, lesson) == ours
        assert [one.by for one in desk.versions(db, lesson)] == ["shipped", story.by, "shipped"]


def test_every_change_of_what_readers_see_passes_the_gate(story: Story) -> None:
    lesson = story.written(draft())
    steps = [
        lambda db, at: writing.save(db, lesson, draft("Other"), version=1, by="staff:1", now=at),
        lambda db, at: writing.restore(db, lesson, 1, version=2, by="staff:1", now=at),
        lambda db, at: writing.withdraw(db, lesson, by="staff:1", now=at),
        lambda db, at: writing.publish(db, lesson, by="staff:1", now=at),
    ]
    for minutes, step in enumerate(steps, 1):
        with story.database.write() as db:
            step(db, NOON + timedelta(minutes=minutes))
        with story.database.read() as db:
            assert db.scalar(select(Tutorial.changed_at)) == NOON + timedelta(minutes=minutes)


# The report


def test_the_report_counts_those_it_is_for_and_those_who_read(story: Story) -> None:
    story.written(draft("All"))
    story.written(draft("Growth", plans=("Growth",)))
    story.written(draft("Decides", audience=Audience.PRIMARY))
    story.written(draft("Unread draft"), published=False)
    with story.database.write() as db:
        for reader in (story.maria, story.joao, story.sofia):
            actions.begin(db, reader, slug="all", now=NOON)
        actions.finish(db, story.maria, slug="all", now=NOON)
        actions.say_whether_it_helped(db, story.maria, slug="all", helped=False, now=NOON)
        actions.finish(db, story.joao, slug="growth", now=NOON)
        actions.say_whether_it_helped(db, story.joao, slug="growth", helped=True, now=NOON)
    with story.database.read() as db:
        lines = {one.item.title: one[1:] for one in desk.report(db, "en", page=1, a_page=50)[0]}
    assert lines == {"All": (3, 3, 1, 0, 1), "Decides": (2, 0, 0, 0, 0), "Growth": (2, 1, 1, 1, 0)}


def test_the_list_says_which_language_is_missing(story: Story) -> None:
    story.written(draft("English only"), published=False)
    with story.database.read() as db:
        [item], *_ = desk.listed(db, "pt-BR", desk.Wanted(), [], page=1, a_page=50)
        assert (item.title, item.missing, item.published_at) == ("English only", ["pt-BR"], None)


# Found by searching


def found_by(story: Story, reader: Reader, plan: str) -> list[str]:
    who = [EVERYBODY, of_plan(plan)]
    seen = (*who, *(of_place(each, reader.audience) for each in who))
    with story.database.read() as db:
        found = search.find(db, "zeppelin", search.Reader(reader.language, seen, "")).hits
    return sorted("".join(piece.text for piece in hit.title) for hit in found)


def test_only_those_it_is_for_find_it_and_only_while_it_is_published(story: Story) -> None:
    everybody = story.written(draft("Zeppelin for all"))
    story.written(draft("Zeppelin news", Kind.NEWS))
    story.written(draft("Zeppelin of Growth", plans=("Growth",)))
    story.written(draft("Zeppelin for who decides", audience=Audience.PRIMARY, plans=("Growth",)))
    story.written(draft("Zeppelin for who joins", audience=Audience.COLLEAGUES))
    story.written(draft("Zeppelin draft"), published=False)
    for_all = ["Zeppelin for all", "Zeppelin news"]
    assert found_by(story, story.joao, "growth") == sorted([*for_all, "Zeppelin of Growth", "Zeppelin for who joins"])
    assert found_by(story, story.maria._replace(language="en"), "Growth") == sorted(
        [*for_all, "Zeppelin of Growth", "Zeppelin for who decides"]
    )
    assert found_by(story, story.sofia, "Start") == for_all
    with story.database.write() as db:
        writing.save(db, everybody, draft("Zeppelin at large", Kind.EXAMPLE), version=1, by=story.by, now=LATER)
    assert found_by(story, story.sofia, "Start") == ["Zeppelin at large", "Zeppelin news"]
    with story.database.write() as db:
        writing.withdraw(db, everybody, by=story.by, now=LATER)
    assert found_by(story, story.sofia, "Start") == ["Zeppelin news"]
