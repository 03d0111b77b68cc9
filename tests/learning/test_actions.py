"""Loading the shipped tutorials, and how far somebody gets with them; on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.errors import NotFound
from portal.learning import actions, queries
from portal.learning.models import Tutorial, TutorialText
from portal.learning.rules import Reader, State

NOON = datetime(2026, 6, 23, 15, tzinfo=UTC)
FIRST_HOUR = "your-first-hour"


@pytest.fixture
def maria(database: Database) -> Reader:
    with database.write() as db:
        actions.load_shipped_tutorials(db, now=NOON)
        account = Account(external_id="D-1", name="Lumen", created_at=NOON, created_by="system")
        db.add(account)
        db.flush()
        people = [
            Contact(
                account_id=account.id, name=name, email=f"{name}@lumen.example", language=Language.EN, timezone="UTC",
                is_primary=name == "maria", created_at=NOON,
            )
            for name in ("maria", "joao")
        ]  # fmt: skip
        db.add_all(people)
        db.flush()
        return Reader(people[0].id, account.id, "en", is_primary=True)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    event.listen(database.read_engine, "before_cursor_execute", note)
    yield said
    event.remove(database.read_engine, "before_cursor_execute", note)


def test_loading_again_changes_nothing(database: Database) -> None:
    with database.write() as db:
        assert actions.load_shipped_tutorials(db, now=NOON) == 28
    with database.write() as db:
        assert actions.load_shipped_tutorials(db, now=NOON + timedelta(days=1)) == 0
        assert db.scalar(select(func.count()).select_from(Tutorial)) == 14
        assert set(db.scalars(select(TutorialText.changed_at))) == {NOON}


def test_words_that_somebody_edited_are_never_overwritten_and_ours_are(database: Database) -> None:
    with database.write() as db:
        actions.load_shipped_tutorials(db, now=NOON)
        here = (
            select(TutorialText)
            .join(Tutorial, Tutorial.id == TutorialText.tutorial_id)
            .where(Tutorial.slug == FIRST_HOUR)
        )
        edited = db.scalars(here.where(TutorialText.language == Language.EN)).one()
        edited.title, edited.fingerprint, edited.shipped = "Our own words", "edited here", "an older version of ours"
        old = db.scalars(here.where(TutorialText.language == Language.PT_BR)).one()
        old.title, old.fingerprint, old.shipped = "Velho", "older", "older"
    with database.write() as db:
        assert actions.load_shipped_tutorials(db, now=NOON) == 1
        assert sorted(db.scalars(here.with_only_columns(TutorialText.title))) == [
            "Our own words",
            "Sua primeira hora no espaço de trabalho",
        ]


def test_what_was_unpublished_stays_so(database: Database, maria: Reader) -> None:
    with database.write() as db:
        db.scalars(select(Tutorial).where(Tutorial.slug == FIRST_HOUR)).one().published_at = None
    with database.write() as db:
        actions.load_shipped_tutorials(db, now=NOON)
    with database.read() as db:
        assert [lesson.slug for lesson in queries.lessons_for(db, maria, "deployment")] == ["bring-your-team-along"]
        with pytest.raises(NotFound):
            queries.reading(db, maria, FIRST_HOUR)


def test_the_lessons_of_a_stage_are_one_statement_in_the_readers_language(database: Database, maria: Reader) -> None:
    maria = maria._replace(language="pt-BR", plan="")  # whose plan is known from the session
    with database.read() as db, counted(database) as said:
        found = queries.lessons_for(db, maria, "deployment")
    assert len(said) == 1
    assert [(each.title, each.minutes, each.state) for each in found] == [
        ("Sua primeira hora no espaço de trabalho", 6, State.NEW),
        ("Traga sua equipe junto", 5, State.NEW),
    ]


def test_a_text_that_lacks_a_translation_is_shown_in_the_other_language(database: Database, maria: Reader) -> None:
    with database.write() as db:
        here = select(TutorialText).join(Tutorial).where(Tutorial.slug == FIRST_HOUR)
        db.delete(db.scalars(here.where(TutorialText.language == Language.PT_BR)).one())
    with database.read() as db:
        found = queries.reading(db, maria._replace(language="pt-BR"), FIRST_HOUR)
        assert (found.lesson.title, found.language) == ("Your first hour in your workspace", "en")


def test_a_lesson_is_begun_finished_and_judged_by_each_person_alone(database: Database, maria: Reader) -> None:
    joao = maria._replace(contact_id=maria.contact_id + 1, is_primary=False)
    for _ in range(2):  # pressed twice, and heard once
        with database.write() as db:
            actions.begin(db, maria, slug=FIRST_HOUR, now=NOON)
            actions.finish(db, maria, slug=FIRST_HOUR, now=NOON + timedelta(minutes=6))
            actions.say_whether_it_helped(db, maria, slug=FIRST_HOUR, helped=False, now=NOON)
    with database.write() as db:
        actions.say_whether_it_helped(db, maria, slug=FIRST_HOUR, helped=True, now=NOON)
    with database.read() as db:
        hers, his = (queries.reading(db, person, FIRST_HOUR) for person in (maria, joao))
        assert (hers.lesson.started_at, hers.lesson.finished_at, hers.helped) == (
            NOON,
            NOON + timedelta(minutes=6),
            True,
        )
        assert (his.lesson.state, his.helped) == (State.NEW, None)
        told = db.execute(select(AuditEvent.what, AuditEvent.by, AuditEvent.detail)).all()
        assert told == [(Happened.TUTORIAL_FINISHED, f"contact:{maria.contact_id}", {"tutorial": FIRST_HOUR})]


def test_finishing_can_be_taken_back(database: Database, maria: Reader) -> None:
    with database.write() as db:
        actions.finish(db, maria, slug=FIRST_HOUR, now=NOON)
        actions.reopen(db, maria, slug=FIRST_HOUR)
    with database.read() as db:
        assert queries.reading(db, maria, FIRST_HOUR).lesson.state is State.OPEN


def test_nobody_finishes_what_is_not_there(database: Database, maria: Reader) -> None:
    with database.write() as db, pytest.raises(NotFound):
        actions.finish(db, maria, slug="no-such-thing", now=NOON)
